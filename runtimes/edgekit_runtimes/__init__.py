"""One thin adapter per engine. A runtime is a module of this package, found by its name."""
