"""One file per format that is written. None of them knows an architecture."""
