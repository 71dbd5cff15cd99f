"""Companions: files for other people's engines, one module for each."""
