"""Tokenizers in pure Python, for where the package `tokenizers` is not installed: it reads the same tokenizer.json.

Each component does what that package does (0.23), oddities included, so that ids and offsets are the same ones.
"""
