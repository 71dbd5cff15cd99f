from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifests import manifest

import edgekit
from edgekit.errors import BundleError
from edgekit.manifest import FileEntry, FormatEntry, Manifest

SCHEMA = json.loads((Path(edgekit.__file__).parent / "schemas" / "manifest.schema.json").read_text(encoding="utf-8"))
WHERE = "tiny.edge/edgekit.json"
Spoil = Callable[[dict[str, Any]], object]


VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def schema_accepts(data: object) -> bool:
    return bool(VALIDATOR.is_valid(data))


def test_round_trip() -> None:
    assert Manifest.from_json(manifest().to_json(), WHERE) == manifest()
    assert Manifest.from_bytes(manifest().to_bytes(), WHERE) == manifest()


def test_the_schema_is_valid_and_accepts_what_is_written() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(manifest().to_json(), SCHEMA, jsonschema.Draft202012Validator)


def test_a_manifest_of_required_keys_only_is_read() -> None:
    data = manifest().to_json()
    least = {key: data[key] for key in SCHEMA["required"]}
    assert Manifest.from_json(least, WHERE).eos_ids == ()
    assert schema_accepts(least)


@pytest.mark.parametrize("key", SCHEMA["required"])
def test_a_missing_key_is_named(key: str) -> None:
    data = manifest().to_json()
    del data[key]
    with pytest.raises(BundleError, match=f"edgekit.json: {key} is missing"):
        Manifest.from_json(data, WHERE)
    assert not schema_accepts(data)


def test_a_newer_version_asks_for_an_update() -> None:
    data = {**manifest().to_json(), "version": 2, "what newer versions bring": 1}
    with pytest.raises(BundleError, match="needs a newer EdgeKit") as caught:
        Manifest.from_json(data, WHERE)
    assert "pip install -U" in caught.value.hint
    assert caught.value.exit_code == 1


# Each spoils one field; the pattern is what the message must say. The schema refuses them as well, unless marked.
SPOILED: list[tuple[Spoil, str]] = [
    (lambda d: d.update(version=0), "version is 0"),
    (lambda d: d.update(version=True), "version is True"),
    (lambda d: d.update(version="1"), "version is '1'"),
    (lambda d: d.update(surprise=1), "surprise is an unknown key"),
    (lambda d: d.update(name=""), "name is empty"),
    (lambda d: d.update(name="\x1b[31mred"), r"name is '\\x1b\[31mred'"),
    (lambda d: d.update(task="paint"), "task is 'paint'"),
    (lambda d: d.update(eos_ids=[True]), r"eos_ids\[0\] is True"),
    (lambda d: d.update(eos_ids=3), "eos_ids is 3, expected a list"),
    (lambda d: d.update(labels=["\x07"]), "control character"),
    (lambda d: d.update(quantization={"linear": 4}), r"quantization\['linear'\] is 4"),
    (lambda d: d["source"].update(url="x"), "source.url is an unknown key"),
    (lambda d: d["source"].update(id=None), "source.id is None"),
    (lambda d: d["files"]["tokenizer.json"].update(size=-1), r"files\['tokenizer.json'\].size is -1"),
    (lambda d: d["files"]["tokenizer.json"].update(size=1 << 70), "size is 1180591620717411303424"),
    (lambda d: d["files"]["tokenizer.json"].update(sha256="00"), "sha256 is '00'"),
    (lambda d: d["files"]["tokenizer.json"].update(sha256="G" * 64), "64 lower-case hex digits"),
    (lambda d: d["files"]["tokenizer.json"].pop("size"), "size is missing"),
    (lambda d: d["formats"].update({"ON NX": {"files": []}}), "no name of a format"),
    (lambda d: d["formats"]["onnx"].update(context_max=0), "context_max is 0"),
    (lambda d: d["formats"]["onnx"].update(details=[]), "details is"),
    (lambda d: d["generation"].update(temperature=-0.1), "generation.temperature is -0.1"),
    (lambda d: d["generation"].update(top_p=1.5), "generation.top_p is 1.5"),
    (lambda d: d["generation"].update(top_k=1.5), "generation.top_k is 1.5"),
    (lambda d: d["generation"].update(do_sample=1), "generation.do_sample is 1"),
    (lambda d: d["generation"].update(max_tokens=0), "generation.max_tokens is 0"),
    (lambda d: d["generation"].update(typo=1), "'typo'"),
]
BEYOND_THE_SCHEMA: list[tuple[Spoil, str]] = [
    (lambda d: d.update(eos_ids=[1.0]), r"eos_ids\[0\] is 1.0, expected an integer"),
    (lambda d: d.update(eos_ids=[97]), "97, outside of the vocabulary of 97"),
    (lambda d: d.update(task="embed"), "spec.residual is an unknown key"),
    (lambda d: d.update(bos_token="\ud800"), "not valid Unicode"),
    (lambda d: d["formats"]["onnx"]["files"].append("onnx/more"), "'onnx/more', which is not listed"),
    (lambda d: d["files"].update({"Tokenizer.JSON": d["files"]["tokenizer.json"]}), "cannot both be files"),
    (lambda d: d["formats"]["onnx"].update(quality={"perplexity": float("nan")}), "nan, expected a finite number"),
]


@pytest.mark.parametrize(("spoil", "message"), SPOILED)
def test_what_is_wrong_is_named(spoil: Spoil, message: str) -> None:
    data = manifest().to_json()
    spoil(data)
    with pytest.raises(BundleError, match=message) as caught:
        Manifest.from_json(data, WHERE)
    assert caught.value.message.startswith(WHERE)
    assert caught.value.hint
    assert not schema_accepts(data)


@pytest.mark.parametrize(("spoil", "message"), BEYOND_THE_SCHEMA)
def test_what_a_schema_cannot_say_is_refused_too(spoil: Spoil, message: str) -> None:
    data = manifest().to_json()
    spoil(data)
    with pytest.raises(BundleError, match=message) as caught:
        Manifest.from_json(data, WHERE)
    assert caught.value.message.startswith(WHERE)


def test_a_name_that_leaves_the_folder_is_refused() -> None:
    data = manifest().to_json()
    data["files"]["../outside"] = data["files"]["tokenizer.json"]
    with pytest.raises(BundleError, match=r"'\.\./outside' leaves the folder"):
        Manifest.from_json(data, WHERE)
    assert not schema_accepts(data)


def test_a_figure_that_is_not_finite_is_not_written() -> None:
    spoiled = manifest(formats={"onnx": FormatEntry(files=(), quality={"perplexity": float("inf")})})
    with pytest.raises(BundleError, match="cannot be written"):
        spoiled.to_bytes()


def test_what_could_not_be_read_back_is_not_written() -> None:
    with pytest.raises(BundleError, match="new manifest of 'tiny'"):
        manifest(eos_ids=(1000,)).to_bytes()


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | finite | st.text()
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)
names = st.lists(st.sampled_from(["a", "model.onnx", "ünï", "b c", "x-1"]), min_size=1, max_size=3).map("/".join)
entries = st.builds(
    FileEntry,
    size=st.integers(0, 2**63 - 1),
    sha256=st.text(st.sampled_from("0123456789abcdef"), min_size=64, max_size=64),
)
clean_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | finite | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(
    name=texts,
    labels=st.lists(texts).map(tuple),
    eos_ids=st.lists(st.integers(0, 96)).map(tuple),
    file_name=names,
    entry=entries,
    context_max=st.none() | st.integers(1, 2**28),
    details=st.dictionaries(texts, clean_values, max_size=3),
    quantization=st.dictionaries(texts, texts, max_size=3),
    temperature=st.floats(0, 100),
)
def test_any_valid_manifest_round_trips(
    name: str,
    labels: tuple[str, ...],
    eos_ids: tuple[int, ...],
    file_name: str,
    entry: FileEntry,
    context_max: int | None,
    details: dict[str, Any],
    quantization: dict[str, str],
    temperature: float,
) -> None:
    original = manifest(
        name=name,
        labels=labels,
        eos_ids=eos_ids,
        files={file_name: entry},
        formats={"onnx": FormatEntry(files=(file_name,), context_max=context_max, details=details)},
        quantization=quantization,
        generation={"temperature": temperature},
    )
    assert Manifest.from_bytes(original.to_bytes(), WHERE) == original
    assert schema_accepts(original.to_json())


@settings(deadline=None)
@given(json_values)
def test_any_json_is_refused_or_read_and_nothing_else(data: object) -> None:
    with pytest.raises(BundleError):
        Manifest.from_json(data, WHERE)


def paths(value: object) -> list[tuple[Any, ...]]:
    """Return where values lie in nested JSON."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, inner in items for path in [(key,), *((key, *rest) for rest in paths(inner))]]


@settings(max_examples=150, deadline=None)
@given(path=st.sampled_from(paths(manifest().to_json())), value=json_values, delete=st.booleans())
def test_any_change_of_a_valid_manifest_is_refused_or_read(path: tuple[Any, ...], value: object, delete: bool) -> None:
    data = manifest().to_json()
    inner: Any = data
    for key in path[:-1]:
        inner = inner[key]
    if delete:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    try:
        read = Manifest.from_json(data, WHERE)
    except BundleError:
        return
    assert Manifest.from_bytes(read.to_bytes(), WHERE) == read
    assert schema_accepts(data)
