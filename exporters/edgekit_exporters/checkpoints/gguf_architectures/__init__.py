"""One declaration per GGUF architecture, found by its name."""
