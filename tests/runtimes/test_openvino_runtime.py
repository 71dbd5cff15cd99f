"""The runtime openvino: forms, cache precisions, the model cache, and bundles that it must refuse."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_checkpoint import write_tiny_checkpoint

from edgekit.bundle import Bundle
from edgekit.decoder import KvPrecision, LoadOptions
from edgekit.errors import BundleError, EdgekitError, UsageError
from edgekit.machine import Processor
from edgekit.manifest import FileEntry
from edgekit.session import DecoderSession, open_session
from edgekit_exporters.export import export
from edgekit_runtimes import _openvino_cache as cache_module
from edgekit_runtimes import _openvino_stored as stored_module
from edgekit_runtimes._openvino_engine import PRECISION_VARIABLE
from edgekit_runtimes.openvino import FILES, RUNTIME, PagedDecoder, StatefulDecoder

IDS = np.random.default_rng(3).integers(3, 250, 75)


@pytest.fixture(scope="module")
def paged(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("paged")
    source = write_tiny_checkpoint(folder / "checkpoint")
    return open_bundle(export(source, to="openvino", quantize="none", output=folder / "b.edge"), folder)


@pytest.fixture(scope="module")
def stateful(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("stateful")
    source = shared / "golden" / "decoders" / "gemma2"
    return open_bundle(export(source, to="openvino", quantize="none", output=folder / "b.edge"), folder)


def open_bundle(path: Path, cache: Path) -> Bundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(cache / "cache"))
        return Bundle.open(path)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "openvino"


def load(bundle: Bundle, kv: KvPrecision = "auto", context: int = 128) -> DecoderSession:
    return open_session(bundle, "openvino", LoadOptions(context=context, threads=1, kv=kv))


def logits(bundle: Bundle) -> np.ndarray:
    with load(bundle) as session:
        return session.forward(IDS, last=len(IDS))


@pytest.fixture(params=["paged", "stateful"])
def bundle(request: pytest.FixtureRequest) -> Bundle:
    chosen: Bundle = request.getfixturevalue(request.param)
    return chosen


def test_the_form_that_is_told_is_the_one_that_runs(bundle: Bundle) -> None:
    forms = {"paged": PagedDecoder, "stateful": StatefulDecoder}
    decoder = RUNTIME.open_decoder(bundle, LoadOptions(context=64, threads=1))
    assert type(decoder) is forms[RUNTIME.form(bundle)]
    decoder.close()


def test_a_rewind_into_a_block_is_exact_whatever_was_computed_behind_it(bundle: Bundle) -> None:
    with load(bundle) as session:
        whole = session.forward(IDS, last=len(IDS))
        session.rewind(41)
        session.forward(IDS[::-1][:30])
        session.rewind(41)
        np.testing.assert_array_equal(session.forward(IDS[41:], last=len(IDS) - 41), whole[41:])


def test_a_saved_cache_goes_on_exactly_in_another_session(bundle: Bundle, tmp_path: Path) -> None:
    with load(bundle) as session:
        session.forward(IDS[:50])
        session.rewind(45)
        session.save(tmp_path / "state")
        expected = session.forward(IDS[45:], last=20)
    with load(bundle) as other:
        other.forward(IDS[:3])
        other.restore(tmp_path / "state")
        np.testing.assert_array_equal(other.forward(IDS[45:], last=20), expected)


def test_a_saved_cache_is_the_same_whatever_was_forgotten(paged: Bundle, tmp_path: Path) -> None:
    for name, extra in (("a", 0), ("b", 20)):
        with load(paged) as session:
            session.forward(IDS[: 40 + extra])
            session.rewind(40)
            session.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("kv", ["f32", "f16", "int8"])
def test_the_precisions_of_the_cache(kv: KvPrecision, paged: Bundle) -> None:
    types = {"f32": np.float32, "f16": np.float16, "int8": np.uint8}
    expected = logits(paged)
    decoder = RUNTIME.open_decoder(paged, LoadOptions(context=128, threads=1, kv=kv))
    found = decoder.step(IDS, 0, len(IDS))
    assert {array.dtype for array in decoder.read_cache(5).values()} == {np.dtype(types[kv])}
    assert np.abs(found - expected).max() <= (1e-6 if kv == "f32" else 0.05) * np.abs(expected).max()
    with load(paged, kv) as session:
        whole = session.forward(IDS, last=len(IDS))
        session.rewind(41)
        session.forward(IDS[::-1][:30])
        session.rewind(41)
        np.testing.assert_allclose(session.forward(IDS[41:], last=34), whole[41:], atol=1e-5)


def test_an_arm_processor_without_sve_gets_the_stateful_form(paged: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = logits(paged)
    monkeypatch.setattr("edgekit_runtimes.openvino.this_processor", lambda: Processor("aarch64", ("asimd",)))
    decoder = RUNTIME.open_decoder(paged, LoadOptions(context=128, threads=1))
    assert isinstance(decoder, StatefulDecoder)
    decoder.close()
    np.testing.assert_allclose(logits(paged), expected, atol=1e-4)
    with pytest.raises(UsageError, match="no f16 cache"):
        load(paged, "f16")


def test_the_stateful_form_refuses_a_precision_that_would_not_come_back(stateful: Bundle) -> None:
    with pytest.raises(UsageError, match="no int8 cache"):
        load(stateful, "int8")


def test_a_cache_of_another_shape_is_refused(bundle: Bundle) -> None:
    decoder = RUNTIME.open_decoder(bundle, LoadOptions(context=64, threads=1))
    decoder.step(IDS[:10], 0, 1)
    state = dict(decoder.read_cache(10))
    name = next(iter(state))
    with pytest.raises(EdgekitError, match="has the shape"):
        decoder.write_cache({**state, name: state[name][..., :3]}, 10)
    with pytest.raises(EdgekitError, match="other layers"):
        decoder.write_cache({name: state[name]}, 10)
    decoder.close()


def kept(cache: Path) -> Path:
    (path,) = cache.iterdir()
    return path


@pytest.fixture
def no_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no model be read: what is loaded came from the cache."""
    monkeypatch.setattr("edgekit_runtimes.openvino.read_model", None)


def test_a_compiled_model_is_kept_and_taken_back(bundle: Bundle, cache: Path, request: pytest.FixtureRequest) -> None:
    first = logits(bundle)
    # The weights are not in it.
    assert cache_module.HEADER < kept(cache).stat().st_size < 600_000
    request.getfixturevalue("no_compiling")
    np.testing.assert_array_equal(logits(bundle), first)


@pytest.mark.parametrize("quantize", [pytest.param("int8", marks=pytest.mark.slow), "int4"])
def test_quantized_weights_are_taken_from_their_file_again(
    quantize: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source = write_tiny_checkpoint(tmp_path / "checkpoint")
    quantized = open_bundle(export(source, to="openvino", quantize=quantize, output=tmp_path / "b.edge"), tmp_path)
    first = logits(quantized)
    request.getfixturevalue("no_compiling")
    np.testing.assert_array_equal(logits(quantized), first)


@pytest.mark.slow
def test_a_stateful_model_keeps_its_precision_from_the_cache(
    shared: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Quantized bundles would get an int8 cache, which this form cannot give back as it was."""
    source = shared / "golden" / "decoders" / "gemma2"
    quantized = open_bundle(export(source, to="openvino", quantize="int8", output=tmp_path / "b.edge"), tmp_path)
    first = logits(quantized)
    request.getfixturevalue("no_compiling")
    np.testing.assert_array_equal(logits(quantized), first)


def test_what_the_engine_cannot_take_back_is_not_asked_for_again(
    paged: Bundle, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as by another version, to which what is written here means nothing."""
    import openvino

    first = logits(paged)
    monkeypatch.setattr(cache_module, "prepare", lambda *_: {})
    np.testing.assert_array_equal(logits(paged), first)
    assert kept(cache).stat().st_size == cache_module.HEADER
    monkeypatch.setattr(openvino.Core, "import_model", None)
    monkeypatch.setattr(openvino.CompiledModel, "export_model", None)
    np.testing.assert_array_equal(logits(paged), first)


def test_what_cannot_be_exported_is_not_asked_for_again(
    paged: Bundle, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_module, "CONVERTED", {})
    first = logits(paged)
    assert kept(cache).stat().st_size == cache_module.HEADER
    np.testing.assert_array_equal(logits(paged), first)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r'place="\d+"', 'place="99999999999"'),
        (r'bytes="\d+"', 'bytes="64"'),
        pytest.param(r'place="\d+"', 'place="-8"', marks=pytest.mark.slow),
        pytest.param(r'shape="\d+, ', 'shape="9999999999, ', marks=pytest.mark.slow),
        pytest.param(r"</layers>", "</layer>", marks=pytest.mark.slow),
    ],
    ids=["behind", "short", "before", "large", "broken"],
)
def test_a_cached_model_that_names_other_bytes_is_made_anew(paged: Bundle, cache: Path, old: str, new: str) -> None:
    """Its hash says only that it is whole, not who wrote it."""
    first = logits(paged)
    path = kept(cache)
    head, blob = path.read_bytes()[: cache_module.HEADER], path.read_bytes()[cache_module.HEADER :]
    forged = re.sub(old.encode(), new.encode(), blob, count=1)
    assert forged != blob
    path.write_bytes(head[:-32] + hashlib.sha256(forged).digest() + forged)
    np.testing.assert_array_equal(logits(paged), first)
    assert path.stat().st_size == cache_module.HEADER


def test_what_nobody_used_for_a_month_is_removed(paged: Bundle, cache: Path) -> None:
    cache.mkdir(parents=True)
    for name, days in (("old", 40), ("recent", 20)):
        (cache / name).write_bytes(b"")
        os.utime(cache / name, (time.time() - 86400 * days,) * 2)
    load(paged).close()
    assert not (cache / "old").exists()
    assert (cache / "recent").exists()


@pytest.mark.parametrize(
    "damage", ["cut", "foreign", *(pytest.param(name, marks=pytest.mark.slow) for name in ("noise", "empty", "folder"))]
)
def test_a_damaged_or_foreign_model_cache_is_made_anew(paged: Bundle, cache: Path, damage: str) -> None:
    first = logits(paged)
    path = kept(cache)
    good = path.read_bytes()
    bad = {
        "cut": good[: len(good) // 2],
        "foreign": good[:8] + bytes(32) + good[40:],
        "noise": np.random.default_rng(1).bytes(5000),
        "empty": b"",
    }
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(bad[damage])
    np.testing.assert_array_equal(logits(paged), first)
    if damage != "folder":
        assert path.read_bytes()[: cache_module.HEADER - 32] == good[: cache_module.HEADER - 32]
        assert path.stat().st_size > cache_module.HEADER


def test_other_settings_do_not_share_a_compiled_model(paged: Bundle, cache: Path) -> None:
    for kv in ("f32", "f16"):
        load(paged, kv).close()  # type: ignore[arg-type]
    assert len(list(cache.iterdir())) == 2


def test_a_cache_folder_that_cannot_be_written_costs_only_time(
    stateful: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("here is no folder", encoding="utf-8")
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "file"))
    assert logits(stateful).shape == (len(IDS), stateful.manifest.spec.vocab_size)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "here is no folder"


def changed(bundle: Bundle, tmp_path: Path, name: str, data: bytes) -> Bundle:
    """Copy a bundle with one file changed and its manifest made to agree, as an attacker would."""
    for each in FILES:
        target = tmp_path / "changed" / each
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data if each == name else bundle.file(each).read_bytes())
    files = {**bundle.manifest.files, name: FileEntry(len(data), "0" * 64)}
    return Bundle(tmp_path / "changed", dataclasses.replace(bundle.manifest, files=files))


def test_weights_cut_short_are_refused(paged: Bundle, tmp_path: Path) -> None:
    data = paged.file(FILES[1]).read_bytes()
    with pytest.raises(BundleError, match=r"openvino_model\.bin has \d+"):
        load(changed(paged, tmp_path, FILES[1], data[:-5000]))


@pytest.mark.parametrize("place", ["-64", "99999999999", str(2**64 - 8), "none"])
def test_an_ir_that_names_bytes_outside_of_its_weights_is_refused(paged: Bundle, tmp_path: Path, place: str) -> None:
    text = paged.file(FILES[0]).read_text(encoding="utf-8")
    data = re.sub(r'offset="\d+"', f'offset="{place}"', text, count=1).encode()
    with pytest.raises(BundleError, match=r"names .* bytes at"):
        load(changed(paged, tmp_path, FILES[0], data))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('version="11"', 'version="999"'),
        ('type="ScaledDotProductAttention" version="opset13"', 'type="ScaledDotProductAttention" version="opset99"'),
        ("</layers>", ""),
        ('from-layer="0"', 'from-layer="100000"'),
    ],
    ids=["version", "opset", "xml", "edge"],
)
def test_an_ir_that_the_engine_cannot_read_is_refused(paged: Bundle, tmp_path: Path, old: str, new: str) -> None:
    text = paged.file(FILES[0]).read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(BundleError, match=r"OpenVINO 20\d\d\.\d+\.\d+ cannot load .*openvino_model\.xml"):
        load(changed(paged, tmp_path, FILES[0], text.replace(old, new).encode()))


@pytest.mark.parametrize("rows", ["", "nobody:0", "MatMul_1", "MatMul_1:x", "logits:99"])
def test_notes_that_fit_no_layer_are_refused(paged: Bundle, tmp_path: Path, rows: str) -> None:
    text = paged.file(FILES[0]).read_text(encoding="utf-8")
    data = re.sub(r'<rows value="[^"]*"', f'<rows value="{rows}"', text).encode()
    with pytest.raises(BundleError, match="rows"):
        load(changed(paged, tmp_path, FILES[0], data))


def test_an_engine_that_is_too_old_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "2025.4.1")
    found = RUNTIME.available()
    assert not found.ok
    assert "2025.4.1 is older than 2026.0" in found.reason
    assert "edgekit-sdk[openvino]" in found.hint


def test_an_engine_that_is_absent_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> str:
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "version", absent)
    assert "not installed" in RUNTIME.available().reason


@pytest.mark.parametrize(("value", "message"), [("bf16", "does not compute with"), ("int3", "is 'int3'")])
def test_a_precision_that_the_cpu_lacks_is_refused(
    paged: Bundle, monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    import openvino

    def capabilities(core: object, device: str, name: str) -> object:
        return ["FP32", "INT8"] if name == "OPTIMIZATION_CAPABILITIES" else "a CPU"

    monkeypatch.setattr(openvino.Core, "get_property", capabilities)
    monkeypatch.setenv(PRECISION_VARIABLE, value)
    with pytest.raises(UsageError, match=message):
        load(paged)


def test_importing_the_engine_reports_to_nobody() -> None:
    code = (
        "import sys; from edgekit_runtimes._openvino_engine import engine; engine();"
        "assert 'openvino' in sys.modules;"
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry')], 'telemetry'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=None, timeout=60)
