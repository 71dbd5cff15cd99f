from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from manifests import decoder_spec, manifest
from small_tokenizers import trained
from stub_runtime import TEMPLATE, VOCAB, Alphabet, StubRuntime

from edgekit import registry
from edgekit.bundle_writer import BundleWriter
from edgekit.loading import load
from edgekit.manifest import FormatEntry
from edgekit.model import Model
from edgekit.pass_costs import PassCosts


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> StubRuntime:
    made = StubRuntime()
    monkeypatch.setattr(registry, "runtime_names", lambda: ["stub"])
    monkeypatch.setattr(registry, "runtime", lambda name: made)
    monkeypatch.setattr("edgekit.session.pass_costs", lambda bundle, chosen, measure: PassCosts(((1, 1.0), (16, 2.0))))
    return made


@pytest.fixture
def write(tmp_path: Path, stub: StubRuntime) -> Callable[..., Path]:
    def make(
        *,
        tokenizer: bool = True,
        template: str | None = TEMPLATE,
        context_max: int = 200,
        weights: bytes = b"weights",
        **changes: Any,
    ) -> Path:
        with BundleWriter(tmp_path / "tiny.edge", force=True) as writer:
            files = {"stub/model": weights}
            if tokenizer:
                files["tokenizer.json"] = trained("byte_level").encode()
            if template is not None:
                files["chat_template.jinja"] = template.encode()
            for name, content in files.items():
                (writer.folder / name).parent.mkdir(exist_ok=True)
                (writer.folder / name).write_bytes(content)
            spec = dataclasses.replace(decoder_spec(), vocab_size=VOCAB)
            formats = {"stub": FormatEntry(files=("stub/model",), context_max=context_max)}
            values = {
                "spec": spec,
                "formats": formats,
                "eos_ids": (Alphabet(trained("byte_level")).end,),
                "generation": {},
                **changes,
            }
            writer.write(manifest(**values))
        return tmp_path / "tiny.edge"

    return make


@pytest.fixture
def model(write: Callable[..., Path]) -> Iterator[Model]:
    with load(write()) as loaded:
        yield loaded
