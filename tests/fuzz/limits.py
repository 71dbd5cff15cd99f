"""Limits the memory of this process, where the system can: what tracemalloc does not see (Rust, C) ends here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HEADROOM = 2 << 30
"""Bytes that a process may take beyond what it has."""


@contextmanager
def limit_memory(headroom: int = HEADROOM) -> Iterator[bool]:
    """Refuse this process more memory than it has and `headroom` bytes, and tell whether the system does."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    except (ImportError, OSError):  # Windows; macOS, which does not hold RLIMIT_AS
        yield False
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + headroom, before[1]))
    try:
        yield True
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
