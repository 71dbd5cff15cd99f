"""What is this runtime's own; what all runtimes must do is in tests/contract."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from random_models import write_model
from tiny_checkpoint import write_tiny_checkpoint

from edgekit.bundle import Bundle
from edgekit.decoder import LoadOptions
from edgekit.errors import BundleError, RuntimeUnavailableError, UsageError
from edgekit.session import DecoderSession, open_session
from edgekit.spec import Attention, DecoderSpec, Norm
from edgekit_exporters.architecture import Model
from edgekit_exporters.decoder import weight_shapes
from edgekit_exporters.export import export
from edgekit_exporters.formats import _tflite_graph
from edgekit_exporters.reference import Reference
from edgekit_exporters.weights import Array
from edgekit_runtimes import _tflite_compiled, tflite
from edgekit_runtimes._tflite_compiled import CompiledEngine
from edgekit_runtimes._tflite_decoder import EngineError, TfliteDecoder
from edgekit_runtimes.tflite import RUNTIME

CONTEXT = 400
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


def write(checkpoint: Path, folder: Path, quantize: str = "none") -> Path:
    return export(checkpoint, to="tflite", quantize=quantize, output=folder / f"{quantize}.edge", context=CONTEXT)


@pytest.fixture(scope="module")
def bundle_path(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(checkpoint, tmp_path_factory.mktemp("bundle"))


def load(path: Path, context: int = CONTEXT) -> DecoderSession:
    return open_session(Bundle.open(path), "tflite", LoadOptions(context=context, threads=1))


@pytest.fixture(scope="module")
def ids() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 259, CONTEXT)


@pytest.fixture(scope="module")
def truth(checkpoint: Path, ids: np.ndarray) -> np.ndarray:
    with Reference.open(checkpoint) as reference:
        return reference.logits(ids)


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.abs(a - b).max() <= 1e-4 * np.abs(b).max())


@pytest.mark.parametrize("pieces", [(CONTEXT,), (300, 99, 1), (1, 15, 16, 17, 129, 222), (255, 1, 1, 143), (384, 16)])
def test_any_pieces_up_to_the_very_end_of_the_cache(
    pieces: tuple[int, ...], bundle_path: Path, ids: np.ndarray, truth: np.ndarray
) -> None:
    """Spans are left for larger ones, chunks are padded, and the last tokens have no room for padding."""
    with load(bundle_path) as session:
        done = 0
        for piece in pieces:
            wanted = min(piece, 20)
            logits = session.forward(ids[done : done + piece], last=wanted)
            done += piece
            assert close(logits, truth[done - wanted : done])


def test_a_rewind_into_what_padding_was_written_behind(bundle_path: Path, ids: np.ndarray, truth: np.ndarray) -> None:
    with load(bundle_path) as session:
        session.forward(ids[:290])
        session.rewind(100)
        assert close(session.forward(ids[100:103], last=3), truth[100:103])
        assert close(session.forward(ids[103:104]), truth[103:104])


def test_save_and_restore_are_exact(bundle_path: Path, ids: np.ndarray, tmp_path: Path) -> None:
    with load(bundle_path) as session:
        session.forward(ids[:77])
        session.save(tmp_path / "state")
        expected = session.forward(ids[77:80], last=3)
    with load(bundle_path, context=90) as session:
        session.restore(tmp_path / "state")
        np.testing.assert_array_equal(session.forward(ids[77:80], last=3), expected)


def test_a_chat_that_outgrows_the_small_span_says_the_same(bundle_path: Path, ids: np.ndarray) -> None:
    def continued(session: DecoderSession) -> list[int]:
        row, tokens = session.forward(ids[:240])[0], []
        for _ in range(40):
            tokens.append(int(row.argmax()))
            row = session.forward(tokens[-1:])[0]
        return tokens

    with load(bundle_path) as session:
        grown = continued(session)
        plan = session._decoder._plan  # type: ignore[attr-defined]
        plan._kinds = {kind: [max(found, key=lambda s: s.span)] for kind, found in plan._kinds.items()}
        session.rewind(0)
        assert continued(session) == grown


def test_a_prompt_of_3000_tokens_in_a_cache_of_4096(checkpoint: Path, tmp_path: Path) -> None:
    longer = tmp_path / "longer"
    shutil.copytree(checkpoint, longer)
    config = json.loads((longer / "config.json").read_bytes())
    (longer / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 4096}), encoding="utf-8")
    path = export(longer, to="tflite", quantize="none", output=tmp_path / "longer.edge")
    prompt = np.random.default_rng(4).integers(0, 259, 3000)
    with Reference.open(longer) as reference:
        expected = reference.logits(prompt, rows=[1500, 2990, 2999])
    with load(path, context=4096) as session:
        assert close(session.forward(prompt)[0], expected[2])
        session.rewind(1500)
        assert close(session.forward(prompt[1500:1501])[0], expected[0])
        assert close(session.forward(prompt[1501:], last=10)[0], expected[1])


def test_the_engine_updates_the_cache_in_place(bundle_path: Path) -> None:
    engine = CompiledEngine(bundle_path / tflite.FILE, 1, "")
    decoder = TfliteDecoder(Bundle.open(bundle_path), LoadOptions(context=CONTEXT), engine)
    assert decoder.works_in_place()
    assert not any(array.any() for array in engine.cache.values()), "the test leaves nothing behind"
    decoder.close()


class Copying(CompiledEngine):
    """An engine that computes in a copy of the cache, as one may that does not promise to update it in place."""

    def run(self, key, feeds):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        before = {name: array.copy() for name, array in self.cache.items()} if self.in_place else {}
        logits = super().run(key, feeds)
        for name, array in before.items():
            self.cache[name][:] = array
        return logits


def test_where_it_does_not_two_caches_give_the_same(
    bundle_path: Path, ids: np.ndarray, truth: np.ndarray, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(_tflite_compiled, "CompiledEngine", Copying)
    with load(bundle_path) as session:
        assert "two are used instead" in caplog.text
        assert close(session.forward(ids[:150], last=2), truth[148:150])
        session.rewind(20)
        assert close(session.forward(ids[20:22], last=2), truth[20:22])
        session.save(tmp_path / "state")
        expected = session.forward(ids[22:23])
        session.restore(tmp_path / "state")
        np.testing.assert_array_equal(session.forward(ids[22:23]), expected)


GROWTH = """
import sys
import numpy as np
from edgekit.bundle import Bundle
from edgekit.decoder import LoadOptions
from edgekit.machine import read_process
from edgekit.session import open_session
with open_session(Bundle.open(sys.argv[1]), "tflite", LoadOptions(context=512, threads=1)) as session:
    before = read_process().anonymous
    session.forward(np.zeros(130, np.int64))
    print(read_process().anonymous - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell anonymous memory")
def test_a_prefill_needs_the_memory_of_one_layer(tmp_path: Path) -> None:
    """What passes between the engine's operators of one layer has the place of the last one's."""
    layers, width, tokens = 24, 256, 130
    attention = Attention(heads=4, kv_heads=4, head_dim=width // 4, scale=0.125)
    spec = DecoderSpec(
        architecture="test", vocab_size=100, hidden_size=width, mlp_size=32, context=4096, layers=(attention,) * layers,
        norm=Norm(),
    )  # fmt: skip
    weights = {name: Array(np.full(shape, 0.01, np.float32)) for name, shape in weight_shapes(spec).items()}
    bundle = write_model(Model(spec, weights), tmp_path / "deep.edge", "tflite", "int8")
    done = subprocess.run([sys.executable, "-c", GROWTH, str(bundle.path)], capture_output=True, text=True, check=True)
    row = width * 4
    cached, one_layer = 2 * layers * tokens * row, 4 * 128 * row
    # Separate places for all layers would be 12.6 MB.
    assert int(done.stdout) - cached < 8 * one_layer


def test_packed_weights_are_kept_for_the_next_load(bundle_path: Path, cache: Path) -> None:
    load(bundle_path).close()
    (made,) = (cache / "tflite").glob("*.xnnpack")
    stamp = made.stat().st_mtime_ns
    with load(bundle_path) as session:
        session.forward(np.zeros(CONTEXT, np.int64))  # every signature finds its weights there
    assert [path.stat().st_mtime_ns for path in (cache / "tflite").glob("*.xnnpack")] == [stamp]


@pytest.mark.parametrize("damage", ["cut", "noise"])
def test_damaged_packed_weights_are_never_used(
    damage: str, bundle_path: Path, cache: Path, ids: np.ndarray, truth: np.ndarray
) -> None:
    load(bundle_path).close()
    (made,) = (cache / "tflite").glob("*.xnnpack")
    data = made.read_bytes()
    noise = np.random.default_rng(1).integers(0, 256, len(data) - 4096).astype(np.uint8).tobytes()
    made.write_bytes(data[: len(data) // 2] if damage == "cut" else data[:4096] + noise)
    with load(bundle_path) as session:
        assert close(session.forward(ids[:20], last=20), truth[:20])
    assert not made.exists()


def test_a_cache_folder_that_cannot_be_written(
    bundle_path: Path, cache: Path, ids: np.ndarray, truth: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    cache.mkdir()
    (cache / "tflite").write_text("in the way", encoding="utf-8")
    with load(bundle_path) as session:
        assert close(session.forward(ids[:20], last=20), truth[:20])
    assert "cannot write" in caplog.text


def test_a_truncated_model_and_one_with_a_wrong_hash_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    path = write(checkpoint, tmp_path)
    file = path / tflite.FILE
    data = file.read_bytes()
    file.write_bytes(data[:-100])
    with pytest.raises(BundleError, match=r"model\.tflite"):
        load(path)
    file.write_bytes(data[:-100] + bytes(99) + b"x")
    with pytest.raises(BundleError, match="SHA-256"):
        load(path)


def test_an_operation_that_the_engine_is_too_old_for(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(_tflite_graph.VERSIONS, "FULLY_CONNECTED", 99)
    path = write(checkpoint, tmp_path, "int8")
    with pytest.raises(BundleError, match=r"FULLY_CONNECTED.*99") as caught:
        load(path)
    assert "--upgrade" in caught.value.hint
    assert list((tmp_path / "cache" / "tflite").iterdir()) == []
    assert capfd.readouterr().err == ""


def test_a_model_that_is_not_the_manifests(bundle_path: Path) -> None:
    bundle = Bundle.open(bundle_path)
    object.__setattr__(bundle.manifest.spec, "layers", bundle.manifest.spec.layers[:1])
    engine = CompiledEngine(bundle_path / tflite.FILE, 1, "")
    with pytest.raises(BundleError, match="does not fit"):
        TfliteDecoder(bundle, LoadOptions(context=CONTEXT), engine)
    with pytest.raises(EngineError):
        CompiledEngine(bundle_path / "edgekit.json", 1, "")


def test_options_that_it_does_not_have(bundle_path: Path) -> None:
    bundle = Bundle.open(bundle_path)
    with pytest.raises(UsageError, match="f16"):
        RUNTIME.open_decoder(bundle, LoadOptions(context=CONTEXT, kv="f16"))
    with pytest.raises(UsageError, match=f"{CONTEXT + 1}.*{CONTEXT}"):
        RUNTIME.open_decoder(bundle, LoadOptions(context=CONTEXT + 1))


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    def version(package: str) -> str:
        if package.replace("-", "_") not in versions:
            raise importlib.metadata.PackageNotFoundError(package)
        return versions[package.replace("-", "_")]

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_which_engines_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, ai_edge_litert="2.3.0", tflite_runtime="2.14.0")
    assert RUNTIME.available().version == "2.3.0"
    installed(monkeypatch, tflite_runtime="2.14.0")
    assert RUNTIME.available().version == "tflite-runtime 2.14.0"
    installed(monkeypatch, ai_edge_litert="1.4.0")
    assert "1.4.0 is older than 2.3" in RUNTIME.available().reason
    installed(monkeypatch)
    assert not RUNTIME.available().ok
    assert "edgekit-sdk[tflite]" in RUNTIME.available().hint


WITHOUT_ATOMICS = """
import json, sys
import numpy as np
from edgekit.bundle import Bundle
from edgekit.decoder import LoadOptions
from edgekit.errors import EdgekitError
from edgekit.session import open_session
from edgekit_exporters.formats import _tflite_graph  # imports the schema, which holds no engine
from edgekit_runtimes import tflite

tflite.lacks = lambda feature: feature == "atomics"
if len(sys.argv) > 3:
    import ai_edge_litert.interpreter
options = LoadOptions(context=400, threads=1)
try:
    with open_session(Bundle.open(sys.argv[1]), "tflite", options) as session:
        print(json.dumps(session.forward(json.loads(sys.argv[2]), last=3).tolist()))
except EdgekitError as error:
    print(error)
else:
    import ai_edge_litert
    print(*ai_edge_litert.__path__)
    with open("/proc/self/maps") as maps:
        print("GpuAccelerator" in maps.read())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no other system tells of an Arm processor what it lacks")
def test_a_processor_without_atomic_instructions_does_not_load_the_engines_gpu(
    bundle_path: Path, ids: np.ndarray, truth: np.ndarray
) -> None:
    command = [sys.executable, "-c", WITHOUT_ATOMICS, str(bundle_path), json.dumps(ids[:200].tolist())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    logits, links, loaded = done.stdout.splitlines()
    assert close(np.array(json.loads(logits)), truth[197:200])
    assert loaded == "False"
    assert not Path(links).exists()
    refused = subprocess.run([*command, "engine first"], capture_output=True, text=True, check=False)
    assert "ai_edge_litert was imported before this model was loaded" in refused.stdout


def test_tflite_runtime_gets_no_quantized_bundle(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, tflite_runtime="2.14.0")
    with pytest.raises(RuntimeUnavailableError, match="int8") as caught:
        load(write(checkpoint, tmp_path, "int8"))
    assert "ai-edge-litert" in caught.value.hint


LOADS = """
import json, sys
import numpy as np
from edgekit.bundle import Bundle
from edgekit.decoder import LoadOptions
from edgekit.errors import EdgekitError
from edgekit.session import open_session
float_bundle, *lying_bundles = sys.argv[4:]
context, ids = int(sys.argv[1]), json.loads(sys.argv[2])
with open_session(Bundle.open(float_bundle), "tflite", LoadOptions(context=context, threads=1)) as session:
    logits = [session.forward(ids[:290], last=3)]
    session.rewind(100)
    logits.append(session.forward(ids[100:103], last=3))
    np.save(sys.argv[3], np.concatenate(logits))
for lying in lying_bundles:
    try:
        open_session(Bundle.open(lying), "tflite", LoadOptions(context=context, threads=1))
    except EdgekitError as error:
        print("refused:", error.hint)
"""


@pytest.mark.slow
def test_the_real_tflite_runtime(
    checkpoint: Path, bundle_path: Path, tmp_path: Path, downloads: Path, ids: np.ndarray, truth: np.ndarray,
) -> None:  # fmt: skip
    """In an environment of its own, with the numpy it was built for; a manifest that hides the truth does not help."""
    if sys.version_info >= (3, 12):
        pytest.skip("tflite-runtime has no wheels for Python 3.12 and later: left out, run this on 3.10 or 3.11")
    python = environment(downloads)
    lying = [write(checkpoint, tmp_path, mode) for mode in ("int8", "int4")]
    for path in lying:
        manifest = json.loads((path / "edgekit.json").read_bytes())
        manifest["quantization"] = {"mode": "none"}
        (path / "edgekit.json").write_text(json.dumps(manifest), encoding="utf-8")
    out = tmp_path / "logits.npy"
    arguments = [str(CONTEXT), json.dumps(ids.tolist()), str(out), str(bundle_path), *map(str, lying)]
    program = f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'runtimes')]!r}\n{LOADS}"
    done = subprocess.run([python, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("refused: use ai-edge-litert") == 2
    assert close(np.load(out), np.concatenate([truth[287:290], truth[100:103]]))


def environment(downloads: Path) -> Path:
    folder = downloads / "tflite-runtime-2.14.0"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        wanted = ["tflite-runtime==2.14.0", "numpy>=1.26,<2", "jinja2"]
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
        (folder / "ready").touch()
    return python
