"""What EdgeKit does not read, told apart from what is damaged: each refusal names the method and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from edgekit.errors import CheckpointError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_ORIGINAL = "give the original checkpoint (float32, float16 or bfloat16 safetensors); EdgeKit quantizes it itself"
_METHODS = {
    "gptq": "GPTQ", "awq": "AWQ", "fp8": "FP8",
}  # fmt: skip
_OWN_VOCABULARIES = (
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "vocab.json",
    "vocab.txt",
)


def refuse_quantized(config: dict[str, Any], folder: Path) -> None:
    """Refuse a checkpoint that another tool has quantized, by its config or the file that GPTQ tools write.

    Raises:
        UnsupportedError: it is; the message names the method.
    """
    inner = config.get("text_config")
    for place in (config, inner if isinstance(inner, dict) else {}):
        for key in ("quantization_config", "compression_config", "quantization"):
            if place.get(key):
                raise UnsupportedError(
                    f"{folder / 'config.json'}: quantized with {_method(place[key], key)}", _ORIGINAL
                )
    if (folder / "quantize_config.json").is_file():
        raise UnsupportedError(f"{folder}: quantized with GPTQ (it has a quantize_config.json)", _ORIGINAL)


def _method(value: object, key: str) -> str:
    if not isinstance(value, dict):
        return str(value)
    name = value.get("quant_method")
    if name:
        return _METHODS.get(str(name).lower(), str(name))
    if any(str(option).startswith(("load_in_", "bnb_")) for option in value):
        return "bitsandbytes"
    return "MLX" if key == "quantization" else "an unnamed method"


def refuse_packed(names: Iterable[str], where: Path) -> None:
    """Refuse tensors packed by GPTQ or AWQ although the config does not say so.

    Raises:
        UnsupportedError: there are such tensors.
    """
    for name in names:
        if name.endswith((".qweight", ".qzeros")):
            raise UnsupportedError(f"{where}: quantized with GPTQ or AWQ (the tensor {name})", _ORIGINAL)


def refuse_without_weights(folder: Path) -> NoReturn:
    """Say why a folder with a config.json but without safetensors cannot be read.

    Raises:
        UnsupportedError: the weights are pickled.
        CheckpointError: there are none.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    pickled = next((name for name in names if name.endswith(PICKLES)), None)
    if pickled:
        raise UnsupportedError(
            f"{folder}: the weights are pickled ({pickled}); loading them would run whatever code they carry",
            'convert them where you trust them: python -c "from transformers import AutoModelForCausalLM as M; '
            "M.from_pretrained('FOLDER').save_pretrained('NEW')\" writes safetensors",
        )
    raise CheckpointError(
        f"{folder}: no *.safetensors file beside config.json", "fetch the weights too, or give a folder that has them"
    )


def refuse_without_config(folder: Path) -> NoReturn:
    """Say why a folder without config.json is no checkpoint.

    Raises:
        CheckpointError: always.
    """
    names = sorted(path.name for path in folder.iterdir())
    if not names:
        raise CheckpointError(f"{folder} is empty", "give a folder with config.json and *.safetensors")
    gguf = next((name for name in names if name.lower().endswith(".gguf")), None)
    if gguf:
        raise CheckpointError(f"{folder} has no config.json, but a GGUF file", f"give the file: {folder / gguf}")
    if "edgekit.json" in names:
        raise CheckpointError(f"{folder} is a bundle already, not a checkpoint", "give what it was exported from")
    if "adapter_config.json" in names:
        raise CheckpointError(
            f"{folder} holds a LoRA adapter only", "merge it into its base model first (peft's merge_and_unload)"
        )
    raise CheckpointError(
        f"{folder} has no config.json", "give a folder with config.json and *.safetensors, as hubs have them"
    )


def refuse_foreign_tokenizer(folder: Path) -> None:
    """Refuse a folder that has a vocabulary but no tokenizer.json; one without any tokenizer passes.

    Raises:
        UnsupportedError: it has; the message names the file.
    """
    found = next((name for name in _OWN_VOCABULARIES if (folder / name).is_file()), None)
    if found:
        raise UnsupportedError(
            f"{folder}: a {found} without tokenizer.json",
            'convert it once with transformers: python -c "from transformers import AutoTokenizer as T; '
            "T.from_pretrained('FOLDER', use_fast=True).save_pretrained('FOLDER')\" writes tokenizer.json",
        )
