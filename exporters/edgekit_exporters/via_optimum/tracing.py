"""Has a checkpoint traced in a process of its own, and describes what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.encoding import pool
from edgekit.errors import UsageError
from edgekit.progress import Progress
from edgekit.spec import GraphSpec, Head
from edgekit.spec_check import LIMITS
from edgekit.tokenizer import Tokenizer
from edgekit_exporters.bert_like import probabilities, read_labels
from edgekit_exporters.calibration import sample_text
from edgekit_exporters.checkpoint import Checkpoint, Sentence
from edgekit_exporters.config import Config
from edgekit_exporters.format import DEFAULT_CONTEXT
from edgekit_exporters.verify_encoder import sample_texts
from edgekit_exporters.via_optimum.process import run
from edgekit_exporters.via_optimum.tasks import Task
from edgekit_exporters.weights import Float32

CHILD = "edgekit_exporters.via_optimum.trace"
GRAPH_FILE, OUTPUTS_FILE = "model.onnx", "outputs.npy"
"""What the child leaves."""

LONGEST = 512
"""Tokens of the longest text that is compared; beyond, attention takes long."""


@dataclass(frozen=True, kw_only=True)
class Traced:
    """What optimum made of a checkpoint: its graph, and the texts with what the checkpoint computed of them."""

    graph: Path
    spec: GraphSpec
    task: Task
    labels: tuple[str, ...]
    reach: int
    """Tokens that the formats hold."""
    texts: list[list[int]]
    rows: Float32
    """As `Sample.expected`."""
    via: str


def trace_checkpoint(
    checkpoint: Checkpoint,
    task: Task,
    context: int | None,
    tokenizer: Tokenizer | None,
    folder: Path,
    progress: Progress,
) -> Traced:
    """Have a checkpoint traced.

    Args:
        checkpoint: One with a folder.
        task: What it does.
        context: Tokens that the formats will hold; None leaves it to the model.
        tokenizer: The checkpoint's, None where it has none.
        folder: Where the child works and leaves its files.
        progress: Is told.

    Raises:
        UsageError: the model takes no texts as long as `context`.
        UnsupportedError: optimum does not export it.
    """
    assert checkpoint.folder is not None
    sentence = checkpoint.sentence or Sentence()
    limits = [sentence.max_length, checkpoint.tokenizer_config.get("model_max_length")]
    # Tokenizers without a limit write 10^30.
    known = [limit for limit in limits if isinstance(limit, int) and 0 < limit <= LIMITS["context"]]
    request = {
        "folder": str(checkpoint.folder.resolve()),
        "task": task,
        "texts": _texts(checkpoint, tokenizer, min(LONGEST, context or LONGEST)),
        "context": min(known, default=None),
    }
    found = run(CHILD, "start transformers", request, folder, progress)
    longest = found["context"]
    if context is not None and context > longest:
        raise UsageError(f"--context {context} is not within 1..{longest}, the model's longest sequence")
    outputs: Float32 = np.load(folder / OUTPUTS_FILE, allow_pickle=False)
    config = Config(dict(checkpoint.config))
    labels = () if task == "embed" else read_labels(config, outputs.shape[1])
    spec = GraphSpec(
        architecture=str(config.get("model_type")),
        vocab_size=found["vocab_size"],
        hidden_size=outputs.shape[1] if task == "embed" else found["hidden_size"],
        context=longest,
        head=_head(config, task, len(labels)),
        pooling=sentence.pooling,
        normalised=sentence.normalised and task == "embed",
        parameters=found["parameters"],
    )
    return Traced(
        graph=folder / GRAPH_FILE,
        spec=spec,
        task=task,
        labels=labels,
        reach=context or min(longest, DEFAULT_CONTEXT),
        texts=found["texts"],
        rows=_pooled(found["texts"], outputs, spec) if task == "embed" else outputs,
        via=", ".join(f"{package} {number}" for package, number in found["versions"].items()),
    )


def _texts(checkpoint: Checkpoint, tokenizer: Tokenizer | None, longest: int) -> list[list[int]]:
    """Return the texts to compare: sentences, one of a single token, and one as long as may be."""
    texts = sample_texts(tokenizer, Config(dict(checkpoint.config)).size("vocab_size"), longest)
    if tokenizer is None:
        return texts
    return [*texts, texts[0][:1], *tokenizer.encode_batch([sample_text("verification")], longest)]


def _head(config: Config, task: Task, labels: int) -> Head | None:
    if task == "embed":
        return None
    if task == "tag":
        return Head(labels=labels, pool=None)
    return Head(labels=labels, pool="other", probabilities=probabilities(config, labels))


def _pooled(texts: Sequence[Sequence[int]], hidden: Float32, spec: GraphSpec) -> Float32:
    """Return the vector of each text from the hidden states of all, one behind the other."""
    ends = np.cumsum([len(text) for text in texts])
    parts = np.split(hidden, ends[:-1])
    return np.concatenate([pool(part[None], np.ones((1, len(part)), np.int64), spec.pooling) for part in parts])
