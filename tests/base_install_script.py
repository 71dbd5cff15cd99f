"""What the base install must be able to do; run in an environment that has numpy and jinja2 only.

Arguments: a bundle, a tokenizer.json, and a JSON file with texts and what the package tokenizers makes of them.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import edgekit
from edgekit.errors import EdgekitError
from edgekit.model import Model
from edgekit.session import DecoderSession

ABSENT = ("tokenizers", "typer", "rich", "psutil", "onnxruntime", "openvino", "ai_edge_litert", "onnx", "gguf")


class Reciting:
    """A decoder that knows one text by heart: its likeliest next token is the one that follows there."""

    vocab_size = 300
    context = 256

    def __init__(self, answer: Sequence[int], prompt: int) -> None:
        self._answer, self._prompt = answer, prompt
        self._cache: list[int] = []

    def step(self, tokens: Any, start: int, last: int, reach: int = 0) -> Any:
        self._cache[start:] = tokens.tolist()
        logits = np.zeros((last, self.vocab_size), np.float32)
        for row, length in enumerate(range(len(self._cache) - last + 1, len(self._cache) + 1)):
            logits[row, self._answer[min(max(length - self._prompt, 0), len(self._answer) - 1)]] = 9.0
        return logits

    def read_cache(self, upto: int) -> Mapping[str, Any]:
        return {"tokens": np.array(self._cache[:upto], np.float32)}

    def write_cache(self, state: Mapping[str, Any], length: int) -> None:
        self._cache = state["tokens"].astype(int).tolist()

    def close(self) -> None:
        pass


def main() -> None:
    """Do everything, and print the errors that a user would meet."""
    bundle_path, tokenizer_path, expected_path = sys.argv[1:]
    assert not any(importlib.util.find_spec(name) for name in ABSENT)
    bundle = edgekit.bundle.Bundle.open(bundle_path)
    tokenizer = edgekit.Tokenizer.open(tokenizer_path)
    for expected in json.loads(Path(expected_path).read_text(encoding="utf-8")):
        words = tokenizer.encode_words(expected["text"])
        assert words.ids == expected["ids"]
        assert [list(offsets) for offsets in words.offsets] == expected["offsets"]
        assert tokenizer.decode(words.ids) == expected["decoded"]

    own = edgekit.Tokenizer.open(bundle)
    messages = [{"role": "user", "content": "Wie geht's, 日本?"}]
    prompt = edgekit.render_chat(bundle.chat_template(), messages)
    assert prompt == "<|im_start|>user\nWie geht's, 日本?<|im_end|>\n<|im_start|>assistant\n"
    ids = own.encode(prompt, add_special_tokens=False)
    answer = own.encode("Schön, danke! 🙂", add_special_tokens=False)
    decoder = Reciting([*answer, bundle.manifest.eos_ids[0]], len(ids))
    with Model(bundle, DecoderSession(decoder), "stub") as model:
        assert "".join(model.stream(messages, temperature=0)) == "Schön, danke! 🙂"
        reply = model.generate(messages, temperature=0, stop=["!"])
        assert (reply.text, reply.finish_reason) == ("Schön, danke", "stop")

    errors = {
        "load": lambda: edgekit.load(bundle_path),
        "export": lambda: edgekit.export(Path(bundle_path).parent / "tiny", output="out.edge"),
        "schema": lambda: Model(bundle, DecoderSession(decoder), "stub").generate("hi", schema={"type": "object"}),
    }
    said = {}
    for name, call in errors.items():
        try:
            call()
        except EdgekitError as error:
            said[name] = [error.message, error.hint]
    print(json.dumps({"numpy": np.__version__, "errors": said}))


if __name__ == "__main__":
    main()
