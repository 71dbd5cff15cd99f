"""Tokenizers in pure Python, for where the package `tokenizers` is not installed: it reads the same tokenizer.json.

Each component does what that package does (0.23), oddities included, so that ids and offsets are the same ones. Refused
by name are the pre-tokenizer UnicodeScripts, BPE with dropout or with byte_fallback beside a prefix or suffix, several
post-processors that add tokens, and expressions that `expression_syntax.py` does not know. Where that package panics,
this one answers or says that it cannot.
"""
