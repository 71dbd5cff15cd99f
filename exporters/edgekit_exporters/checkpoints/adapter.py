"""Merges a LoRA adapter, as PEFT writes it, into a checkpoint: each weight becomes W + scale * B A, row by row.

The files: PEFT's documentation, "PEFT checkpoint format". LoRA: arXiv 2106.09685; rank-stabilized: arXiv 2312.03732.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit.text.expression_syntax import ExpressionError
from edgekit.text.expressions import compile_expression
from edgekit_exporters.checkpoint import Checkpoint
from edgekit_exporters.checkpoints.files import PositionedFile
from edgekit_exporters.checkpoints.json_files import read_object
from edgekit_exporters.checkpoints.safetensors import SafetensorsRows, open_safetensors
from edgekit_exporters.weights import LowRank, Rows, transpose

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_FACTOR = re.compile(
    r"base_model\.model\.(?P<module>.+)\.lora_(?P<kind>embedding_)?(?P<side>[AB])(\.default)?(\.weight)?"
)
_OTHER_SUMS = (
    *("layer_replication", "alora_invocation_tokens"),
    *("arrow_config", "kasa_config", "monteclora_config", "use_bdlora"),
)
"""Settings of PEFT (to 0.21) by which a weight becomes something else than W + scale * B A."""
_PLAIN_BEGINNINGS = ("gaussian", "eva", "orthogonal")
"""Ways of PEFT to begin with factors that leave the model's own weights as they are."""
_LARGEST = 1e9
_OTHER_MODEL = "give the checkpoint that the adapter was trained on"


@dataclass
class _Factors:
    """What an adapter has for one module."""

    a: SafetensorsRows | None = None
    b: SafetensorsRows | None = None
    embedding: bool = False


def merge_adapter(checkpoint: Checkpoint, folder: str | Path) -> None:
    """Let a checkpoint's tensors be those with the adapter added; they are still read by rows.

    Args:
        checkpoint: The model that the adapter was trained on.
        folder: A PEFT folder: `adapter_config.json` and `adapter_model.safetensors`.

    Raises:
        CheckpointError: the adapter is missing, damaged, or for another model, with the tensor's name.
        UnsupportedError: it is no LoRA, or has what cannot be merged (DoRA, biases, whole modules), by name.
    """
    folder = Path(folder).expanduser()
    if not (folder / CONFIG).is_file():
        raise CheckpointError(f"{folder} is no adapter: it has no {CONFIG}", "give a folder that PEFT wrote")
    config = read_object(folder / CONFIG)
    _check_config(config, folder / CONFIG)
    if not (folder / WEIGHTS).is_file():
        raise CheckpointError(f"{folder} has no {WEIGHTS}", "save the adapter with safe_serialization=True")
    file = PositionedFile(folder / WEIGHTS)
    checkpoint.closers.append(file.close)
    tensors = dict(checkpoint.tensors)
    for module, factors in _factors(open_safetensors(file), folder / WEIGHTS).items():
        name = _tensor_name(module, tensors, folder / WEIGHTS)
        tensors[name] = _merged(tensors[name], name, factors, config, module, folder / WEIGHTS)
    checkpoint.tensors = tensors
    checkpoint.source = dataclasses.replace(checkpoint.source, adapter=folder.resolve().name)


def _check_config(config: Mapping[str, Any], path: Path) -> None:
    kind = config.get("peft_type")
    if kind != "LORA":
        raise UnsupportedError(f"{path}: an adapter of the type {kind!r}; only LORA can be merged", _MERGE)
    for key, harmless in (("use_dora", False), ("bias", "none"), ("modules_to_save", None), ("use_qalora", False)):
        value = config.get(key, harmless)
        if value not in (harmless, None, [], False):
            raise UnsupportedError(f"{path}: {key} is {value!r}, which cannot be merged", _MERGE)
    for key in _OTHER_SUMS:
        if config.get(key):
            raise UnsupportedError(f"{path}: {key} is {config[key]!r}, which cannot be merged", _MERGE)
    begun = config.get("init_lora_weights", True)
    if isinstance(begun, str) and begun not in _PLAIN_BEGINNINGS:
        raise UnsupportedError(
            f"{path}: init_lora_weights is {begun!r}, which changes the weights below the adapter as well", _MERGE
        )
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or rank < 1 or not _is_number(alpha):
        raise CheckpointError(f"{path}: r is {rank!r} and lora_alpha {alpha!r}", "fetch it again")
    for key, least in (("rank_pattern", 1.0), ("alpha_pattern", -math.inf)):
        _check_pattern(config.get(key) or {}, least, f"{path}: {key}")


def _check_pattern(patterns: Any, least: float, where: str) -> None:  # noqa: ANN401 - a JSON value
    if not isinstance(patterns, dict):
        raise CheckpointError(f"{where} is {patterns!r:.100}, no object", "fetch the adapter again")
    for pattern, value in patterns.items():
        if not _is_number(value) or value < least:
            raise CheckpointError(f"{where} has {value!r:.100} for {pattern!r:.100}", "fetch the adapter again")
        try:
            _ending(pattern)
        except ExpressionError as error:
            raise CheckpointError(f"{where} has {pattern!r:.100}: {error}", "fetch the adapter again") from error


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST


def _factors(tensors: Mapping[str, SafetensorsRows], path: Path) -> dict[str, _Factors]:
    """Return the factors by module.

    Raises:
        UnsupportedError: a tensor that is no factor of LoRA.
        CheckpointError: one of a pair is missing, or there are none.
    """
    found: dict[str, _Factors] = {}
    for name, rows in tensors.items():
        match = _FACTOR.fullmatch(name)
        if match is None:
            raise UnsupportedError(f"{path}: the tensor {name} is no factor of LoRA and cannot be merged", _MERGE)
        factors = found.setdefault(match["module"], _Factors(embedding=match["kind"] is not None))
        if match["side"] == "A":
            factors.a = rows
        else:
            factors.b = rows
    for module, factors in found.items():
        if factors.a is None or factors.b is None:
            missing = "A" if factors.a is None else "B"
            raise CheckpointError(f"{path}: {module} has no lora_{missing}", "the adapter is damaged: fetch it again")
    if not found:
        raise CheckpointError(f"{path} holds no tensors", "fetch the adapter again")
    return found


def _tensor_name(module: str, tensors: Mapping[str, Rows], path: Path) -> str:
    """Return the weight of a module; some checkpoints leave out the name of the base model in front."""
    for name in (f"{module}.weight", f"{module.partition('.')[2]}.weight"):
        if name in tensors:
            return name
    raise CheckpointError(f"{path}: the checkpoint has no {module}.weight", _OTHER_MODEL)


def _merged(weight: Rows, name: str, factors: _Factors, config: Mapping[str, Any], module: str, path: Path) -> LowRank:
    assert factors.a is not None
    assert factors.b is not None
    a, b = factors.a, factors.b
    rank = _pattern(config, "rank_pattern", module, config["r"])
    alpha = _pattern(config, "alpha_pattern", module, config["lora_alpha"])
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[0] != rank or b.shape[1] != rank:
        raise CheckpointError(
            f"{path}: {module} has factors of {list(a.shape)} and {list(b.shape)}; its rank is {rank}",
            "the adapter contradicts its config: fetch it again",
        )
    turned = factors.embedding or bool(config.get("fan_in_fan_out"))
    left, right = (transpose(a), transpose(b)) if turned else (b, a)
    if (left.shape[0], right.shape[1]) != tuple(weight.shape):
        raise CheckpointError(
            f"{path}: {module} adds to a weight of {left.shape[0]} x {right.shape[1]}, and {name} has {weight.shape}",
            _OTHER_MODEL,
        )
    return LowRank(weight, left, right, scale)


def _pattern(config: Mapping[str, Any], key: str, module: str, default: float) -> float:
    """Return what a pattern says of a module."""
    for pattern, value in (config.get(key) or {}).items():
        if _ending(pattern).match(module):
            return float(value)
    return float(default)


@functools.cache
def _ending(pattern: str) -> re.Pattern[str]:
    """Return a key of a pattern as PEFT matches it, an expression at the end of a name, in a form that takes no time.

    Raises:
        ExpressionError: it is damaged, or could take for ever.
    """
    return compile_expression(rf"(.*\.)?({pattern})$").compiled


_MERGE = "merge it with PEFT (merge_and_unload) and export the merged checkpoint"
