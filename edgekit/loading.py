"""From a bundle's folder to a model that is ready."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, get_args

from edgekit.bundle import Bundle
from edgekit.decoder import DEFAULT_CONTEXT, KvPrecision, LoadOptions
from edgekit.encoder_session import open_encoder_session
from edgekit.errors import UsageError
from edgekit.model import Model
from edgekit.planning.memory_check import check_memory
from edgekit.registry import choose_runtime
from edgekit.session import open_session
from edgekit.tokenizer import Tokenizer

if TYPE_CHECKING:
    from edgekit.progress import Progress


def load(
    path: str | os.PathLike[str],
    runtime: str = "auto",
    threads: int | None = None,
    context: int | None = None,
    kv: KvPrecision = "auto",
    progress: Progress | None = None,
    *,
    prompt_tokens: int | None = None,
    memory_check: bool = True,
) -> Model:
    """Load a bundle.

    Args:
        path: The bundle's folder.
        runtime: The name of a runtime, or "auto" for the fastest of those that are installed and have a format of the
            bundle: as `edgekit bench --runtime all` measured it on this machine, else by a table of measurements.
        threads: Threads to compute with; None leaves it to the runtime.
        context: Capacity in tokens, prompt and answer together, or of a text; None takes 4096, or less where the bundle
            has less.
        kv: The precision of the cache.
        progress: Is told how far files are checked, at the first load of a bundle.
        prompt_tokens: How long prompts will be, for "auto" to weigh reading against answering; None: a usual chat.
        memory_check: Refuse what needs more memory than is free. Loaded all the same, it makes the system swap, or end
            the process.

    Raises:
        MemoryShortageError: it needs more memory than is free.
        BundleError: the bundle is missing, damaged or of another kind.
        RuntimeUnavailableError: no installed runtime can open it.
        UsageError: an option out of its range.
    """
    bundle = Bundle.open(path, progress)
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise UsageError(f"threads is {threads!r}; it must be a whole number, 1 or more")
    if kv not in get_args(KvPrecision):
        raise UsageError(f"kv is {kv!r}", f"choose one of: {', '.join(get_args(KvPrecision))}")
    if prompt_tokens is not None and (not isinstance(prompt_tokens, int) or prompt_tokens < 1):
        raise UsageError(f"prompt_tokens is {prompt_tokens!r}; it must be a whole number, 1 or more")
    chosen = choose_runtime(bundle, runtime, prompt_tokens)
    largest = bundle.manifest.formats[chosen.format].context_max or bundle.manifest.spec.context
    options = LoadOptions(context=_checked_context(context, largest), threads=threads, kv=kv)
    if memory_check:
        check_memory(bundle, chosen, options)
    open_any = open_session if bundle.manifest.task == "generate" else open_encoder_session
    # The tokenizer is read while the engine reads the weights, so that the first answer does not wait for it. What is
    # wrong with it is told to those who use it: programs that bring their own ids do not.
    with ThreadPoolExecutor(1, "edgekit-tokenizer") as pool:
        tokenizer = pool.submit(Tokenizer.open, bundle)
        session = open_any(bundle, chosen.name, options)
    return Model(bundle, session, chosen.name, tokenizer)


def _checked_context(context: int | None, largest: int) -> int:
    if context is None:
        return min(largest, DEFAULT_CONTEXT)
    if not isinstance(context, int) or not 1 <= context <= largest:
        raise UsageError(
            f"a context of {context!r} tokens was asked for; this bundle takes 1 to {largest:,}",
            "choose less, or export it again with a larger --context",
        )
    return context
