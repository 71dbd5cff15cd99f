"""Every family that GGUF has, converted from the recorded cases and compared with the recorded logits."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from decoder_cases import decoder_cases

from edgekit_exporters.checkpoints import gguf_architectures
from edgekit_exporters.reference import Reference

Convert = Callable[..., Path]

# What is missing has no room in a GGUF file: windows of qwen2 and smollm3, GPT-2's scale by layer, and gpt_neo.
ARCHITECTURES = {
    "llama_gqa": "llama", "llama_bias": "llama", "llama_tied_llama3rope": "llama", "smollm_like": "llama",
    "mistral_swa": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "qwen3_yarn": "qwen3",
    "phi3": "phi3", "phi3_longrope": "phi3", "phi4mini": "phi3",
    "gemma": "gemma", "gemma2": "gemma2", "gemma3": "gemma3", "gemma3_hub_keys": "gemma3",
    "gemma3_multimodal": "gemma3",
    "gpt2": "gpt2", "smollm3": "smollm3", "olmo2": "olmo2", "granite": "granite", "granite_bias": "granite",
    "stablelm": "stablelm", "stablelm_parallel": "stablelm", "cohere": "command-r", "cohere_qk_norm": "command-r",
}  # fmt: skip
WITHIN_WINDOW = {"mistral_swa": 16}
"""llama.cpp's converter drops Mistral's window: positions before it has slid are the same."""


@pytest.mark.parametrize("case", ARCHITECTURES)
def test_the_rebuilt_checkpoint_gives_the_recorded_logits(shared: Path, golden_gguf: Convert, case: str) -> None:
    recorded = {str(each): each for each in decoder_cases()}[case]
    with Reference.open(golden_gguf(case, architecture=ARCHITECTURES[case])) as reference:
        count = 0
        for ids, wanted in recorded.sequences():
            rows = slice(WITHIN_WINDOW.get(case))
            logits = reference.logits(ids)[rows]
            assert np.abs(logits - wanted[rows]).max() <= 1e-4 * np.abs(wanted).max()
            count += 1
        assert count >= 3


@pytest.mark.parametrize("case", ["gemma3", "gpt2", "granite", "stablelm_parallel", "cohere", "olmo2"])
@pytest.mark.parametrize("quantization", ["F16", "BF16"])
def test_half_precision_differs_by_its_rounding(
    shared: Path, golden_gguf: Convert, case: str, quantization: str
) -> None:
    recorded = {str(each): each for each in decoder_cases()}[case]
    ids, wanted = list(recorded.sequences())[1]
    with Reference.open(golden_gguf(case, quantization, architecture=ARCHITECTURES[case])) as reference:
        error = np.abs(reference.logits(ids) - wanted).max()
    assert error <= {"F16": 2e-3, "BF16": 2e-2}[quantization] * np.abs(wanted).max()


def test_every_declaration_has_a_case() -> None:
    declared = {module.name for module in pkgutil.iter_modules(gguf_architectures.__path__)}
    assert {name.replace("-", "_") for name in ARCHITECTURES.values()} == declared
