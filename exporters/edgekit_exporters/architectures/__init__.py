"""One file per architecture, named as the checkpoint's `model_type`. None of them knows a format."""
