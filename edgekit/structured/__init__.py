"""Answers that a program can read: what a caller asks for, as a grammar, and the constraint that keeps to it."""
