"""Refuses to load what cannot fit in free memory: the system would swap, or end the process half-way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.decoder import LoadOptions, Runtime
from edgekit.errors import MemoryShortageError
from edgekit.machine import read_memory, this_processor
from edgekit.planning.footprint import PYTHON, Use, in_words, largest_context
from edgekit.planning.outline import outline_of
from edgekit.registry import openers

if TYPE_CHECKING:
    from edgekit.bundle import Bundle


def check_memory(bundle: Bundle, runtime: Runtime, options: LoadOptions) -> None:
    """Refuse a bundle that will not fit; where the system does not say how much is free, nothing is refused.

    Raises:
        MemoryShortageError: with what is needed, what is free, and what would fit.
    """
    free = read_memory().available
    if free is None:
        return
    processor = this_processor()
    formats = outline_of(bundle).formats

    def needed(each: Runtime, context: int) -> int:
        use = Use(context=context, kv=options.kv, processor=processor)
        # This process has Python in memory already.
        return each.footprint(formats[each.format], use).total - PYTHON

    if needed(runtime, options.context) <= free:
        return
    hints = []
    longest = largest_context(lambda context: needed(runtime, context) <= free, options.context)
    if longest and bundle.manifest.task == "generate":
        hints.append(f"take a context of {longest} (--context)")
    others = [each for each, available in openers(bundle).items() if available.ok and each.name != runtime.name]
    hints += [f"take the runtime {each.name}" for each in others if needed(each, options.context) <= free]
    hints.append("load it all the same with memory_check=False (--no-memory-check)")
    raise MemoryShortageError(
        f"{bundle.path} needs {in_words(needed(runtime, options.context))} of memory on {runtime.name} with a context "
        f"of {options.context:,} tokens, and {in_words(free)} are free",
        ", or ".join(hints),
    )
