"""Whether a model fits a device, and how fast it will be there, before it is exported or loaded."""
