"""The workstation half: read a checkpoint, quantize it, write it in a device format, and prove the result."""
