"""Float bundles of recorded cases, and each of them loaded with every runtime there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from decoder_cases import SHARED
from opened import CONTEXT, Opened

from edgekit.bundle import Bundle
from edgekit.decoder import LoadOptions
from edgekit.registry import runtime, runtime_names
from edgekit.session import DecoderSession, open_session
from edgekit_exporters.export import export
from edgekit_exporters.reference import Reference

CASES = ("llama_gqa", "smollm_like", "mistral_swa", "phi3_longrope", "gemma2")
"""Plain; odd heads and tied; a window of 16 in every layer; a LongRoPE border at 32; softcaps and some windows."""

QUICK = {
    "onnx": ("mistral_swa", "phi3_longrope", "gemma2"),
    # A softcap is what its other form is for.
    "openvino": ("phi3_longrope", "gemma2"),
}
"""What is tried in the quick tests; any other runtime with LongRoPE alone."""


@pytest.fixture(scope="session")
def float_bundle(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bundle]:
    """Return a case as a bundle with a format for every runtime, exported once."""
    folder, written = tmp_path_factory.mktemp("float"), dict[str, Bundle]()
    formats = sorted({runtime(name).format for name in runtime_names()})

    def bundle(case: str) -> Bundle:
        if case not in written:
            source = SHARED / "golden" / "decoders" / case
            written[case] = Bundle.open(export(source, to=formats, quantize="none", output=folder / f"{case}.edge"))
        return written[case]

    return bundle


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(
            (name, case),
            id=f"{name}-{case}",
            marks=[] if case in QUICK.get(name, ("phi3_longrope",)) else [pytest.mark.slow],
        )
        for name in runtime_names()
        for case in CASES
    ],
)
def opened(request: pytest.FixtureRequest, float_bundle: Callable[[str], Bundle]) -> Iterator[Opened]:
    name, case = request.param
    availability = runtime(name).available()
    if not availability.ok:
        pytest.fail(f"the runtime {name} cannot be tested here: {availability.reason}; {availability.hint}")
    bundle, options = float_bundle(case), LoadOptions(context=CONTEXT, threads=1)
    source = SHARED / "golden" / "decoders" / case
    with np.load(source / "golden.npz") as golden:
        ids = golden["ids_2"]
    assert len(ids) == 70
    with (
        open_session(bundle, name, options) as session,
        open_session(bundle, name, options) as fresh,
        Reference.open(source) as reference,
    ):
        yield Opened(name, bundle, session, fresh, reference, ids)


@pytest.fixture
def session(opened: Opened) -> DecoderSession:
    """The session of `opened`, empty."""
    opened.session.rewind(0)
    return opened.session
