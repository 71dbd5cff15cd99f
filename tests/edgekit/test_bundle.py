from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from manifests import FILES, manifest, write_bundle

from edgekit import bundle as bundle_module
from edgekit import hashing
from edgekit.bundle import Bundle
from edgekit.bundle_writer import replace_manifest
from edgekit.errors import BundleError, EdgekitError
from edgekit.folders import user_cache_folder
from edgekit.manifest import Manifest
from edgekit.progress import Progress


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "tiny.edge")


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are hashed."""
    names: list[str] = []

    def spy(path: Path, progress: Progress) -> str:
        names.append(path.name)
        return hashing.sha256_of(path, progress)

    monkeypatch.setattr(bundle_module, "sha256_of", spy)
    return names


class Counted:
    """A progress that adds up."""

    def __init__(self) -> None:
        self.total, self.done, self.finished = 0, 0, 0

    def start(self, title: str, total: int | None, unit: str = "B") -> None:
        self.total += total or 0

    def advance(self, amount: int) -> None:
        self.done += amount

    def finish(self) -> None:
        self.finished += 1


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "edgekit.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def link(path: Path, target: Path) -> None:
    path.unlink()
    path.symlink_to(target)


def test_a_whole_bundle_opens(tiny: Path) -> None:
    bundle = Bundle.open(str(tiny))
    assert bundle.path == tiny
    assert bundle.manifest == manifest()
    assert bundle.file("onnx/model.onnx").read_bytes() == FILES["onnx/model.onnx"]
    assert bundle.tokenizer_path() == tiny / "tokenizer.json"
    assert bundle.chat_template() == "{{ messages[0].content }} – ünï\n"


def test_without_tokenizer_and_template_both_are_none(tmp_path: Path) -> None:
    tiny = write_bundle(tmp_path / "ids.edge")
    (tiny / "tokenizer.json").unlink()
    (tiny / "chat_template.jinja").unlink()
    edit(tiny, lambda d: (d["files"].pop("tokenizer.json"), d["files"].pop("chat_template.jinja")))
    bundle = Bundle.open(tiny)
    assert bundle.tokenizer_path() is None
    assert bundle.chat_template() is None


def test_a_zip_file_must_be_unpacked_first(tmp_path: Path) -> None:
    path = tmp_path / "tiny.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("edgekit.json", "{}")
    with pytest.raises(BundleError, match=r"tiny\.zip: is a zip file") as caught:
        Bundle.open(path)
    assert "unpack it first" in caught.value.hint


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    for name, message in [("file", "not a bundle"), ("empty", "edgekit.json is missing"), ("none", "no such folder")]:
        with pytest.raises(BundleError, match=message) as caught:
            Bundle.open(tmp_path / name)
        assert caught.value.hint


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe", b"[]", b"{}", b'{"version": 1', b"[" * 100_000])
def test_a_damaged_manifest_is_named(tiny: Path, raw: bytes) -> None:
    (tiny / "edgekit.json").write_bytes(raw)
    with pytest.raises(BundleError, match=r"edgekit\.json"):
        Bundle.open(tiny)


def test_a_manifest_without_end_is_not_read_to_its_end(tiny: Path) -> None:
    with (tiny / "edgekit.json").open("wb") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(BundleError, match="more than the 16,777,216 allowed"):
        Bundle.open(tiny)


def test_a_newer_version_is_refused_with_what_to_do(tiny: Path) -> None:
    edit(tiny, lambda d: d.update(version=2))
    with pytest.raises(BundleError, match=r"edgekit\.json.*newer EdgeKit") as caught:
        Bundle.open(tiny)
    assert "pip install -U edgekit-sdk" in caught.value.hint


def test_a_missing_file_is_named(tiny: Path) -> None:
    (tiny / "onnx" / "model.onnx.data").unlink()
    with pytest.raises(BundleError, match=r"model\.onnx\.data: the file is missing"):
        Bundle.open(tiny)


def test_another_size_is_named_at_each_open(tiny: Path) -> None:
    Bundle.open(tiny)
    with (tiny / "onnx" / "model.onnx").open("ab") as file:
        file.write(b"!")
    with pytest.raises(BundleError, match=r"model\.onnx: 501 bytes, the manifest says 500"):
        Bundle.open(tiny)


def test_a_wrong_hash_is_named(tiny: Path) -> None:
    path = tiny / "onnx" / "model.onnx.data"
    damaged = bytearray(path.read_bytes())
    damaged[5000] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(BundleError, match=r"model\.onnx\.data: its SHA-256 is"):
        Bundle.open(tiny)
    with pytest.raises(BundleError, match="SHA-256"):
        Bundle.open(tiny)  # nothing was recorded


def test_a_name_that_leaves_the_folder_is_refused(tiny: Path) -> None:
    (tiny.parent / "secret").write_bytes(b"{}")
    edit(tiny, lambda d: d["files"].update({"../secret": d["files"]["tokenizer.json"]}))
    with pytest.raises(BundleError, match=r"edgekit\.json: the file name '\.\./secret' leaves the folder"):
        Bundle.open(tiny)


def test_links_that_leave_the_folder_are_refused(tiny: Path) -> None:
    outside = tiny.parent / "outside.json"
    outside.write_bytes(FILES["tokenizer.json"])
    link(tiny / "tokenizer.json", outside)
    with pytest.raises(BundleError, match=r"tokenizer\.json: leads out of the bundle"):
        Bundle.open(tiny)


def test_a_folder_that_is_a_link_out_is_refused(tiny: Path) -> None:
    (tiny / "onnx").rename(tiny.parent / "elsewhere")
    (tiny / "onnx").symlink_to(tiny.parent / "elsewhere")
    with pytest.raises(BundleError, match="leads out of the bundle"):
        Bundle.open(tiny)


def test_a_manifest_that_is_a_link_out_is_refused(tiny: Path) -> None:
    outside = tiny.parent / "outside.json"
    outside.write_bytes((tiny / "edgekit.json").read_bytes())
    link(tiny / "edgekit.json", outside)
    with pytest.raises(BundleError, match="leads out of the bundle"):
        Bundle.open(tiny)


def test_links_in_a_circle_are_refused(tiny: Path) -> None:
    link(tiny / "tokenizer.json", tiny / "tokenizer.json")
    with pytest.raises(BundleError, match=r"tokenizer\.json"):
        Bundle.open(tiny)


def test_a_bundle_reached_through_a_link_opens(tiny: Path) -> None:
    (tiny.parent / "alias").symlink_to(tiny)
    assert Bundle.open(tiny.parent / "alias").manifest.name == "tiny"


def test_a_folder_in_place_of_a_file_is_refused(tiny: Path) -> None:
    (tiny / "tokenizer.json").unlink()
    (tiny / "tokenizer.json").mkdir()
    with pytest.raises(BundleError, match="not a regular file"):
        Bundle.open(tiny)


if sys.platform != "win32":  # which has no such files

    @pytest.mark.parametrize("name", ["tokenizer.json", "edgekit.json"])
    def test_a_pipe_does_not_hang_the_reader(tiny: Path, name: str) -> None:
        (tiny / name).unlink()
        os.mkfifo(tiny / name)
        with pytest.raises(BundleError, match="not a regular file"):
            Bundle.open(tiny)


def test_files_that_are_not_listed_are_ignored_and_never_handed_out(tiny: Path) -> None:
    (tiny / "extra").write_bytes(b"x")
    bundle = Bundle.open(tiny)
    for name in ("extra", "edgekit.json", "../tiny.edge/tokenizer.json", "/etc/passwd", "", "nothing"):
        with pytest.raises(BundleError, match="is not listed"):
            bundle.file(name)


def test_a_file_that_was_exchanged_after_opening_is_not_handed_out(tiny: Path) -> None:
    bundle = Bundle.open(tiny)
    (tiny / "tokenizer.json").write_bytes(b"longer")
    with pytest.raises(BundleError, match="6 bytes"):
        bundle.tokenizer_path()


def test_a_template_that_is_not_utf8_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILES, "chat_template.jinja", b"\xff")
    bundle = Bundle.open(write_bundle(tmp_path / "tiny.edge"))
    with pytest.raises(BundleError, match=r"chat_template\.jinja: not UTF-8"):
        bundle.chat_template()


def test_a_template_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILES, "chat_template.jinja", b" " * ((1 << 20) + 1))
    bundle = Bundle.open(write_bundle(tmp_path / "tiny.edge"))
    with pytest.raises(BundleError, match="more than a chat template may have"):
        bundle.chat_template()


def test_line_ends_of_a_template_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILES, "chat_template.jinja", b"a\r\nb")
    assert Bundle.open(write_bundle(tmp_path / "tiny.edge")).chat_template() == "a\r\nb"


def test_hashes_are_computed_at_the_first_open_only(tiny: Path, hashed: list[str]) -> None:
    Bundle.open(tiny)
    assert len(hashed) == len(FILES)
    hashed.clear()
    Bundle.open(tiny)
    Bundle.open(os.path.relpath(tiny))
    assert hashed == []


def test_a_file_with_another_time_is_hashed_again(tiny: Path, hashed: list[str]) -> None:
    Bundle.open(tiny)
    hashed.clear()
    os.utime(tiny / "tokenizer.json", ns=(1, 1))
    Bundle.open(tiny)
    assert hashed == ["tokenizer.json"]


def test_the_record_is_not_trusted_when_the_manifest_says_another_hash(tiny: Path, hashed: list[str]) -> None:
    Bundle.open(tiny)
    edit(tiny, lambda d: d["files"]["tokenizer.json"].update(sha256="0" * 64))
    with pytest.raises(BundleError, match=f"the manifest says {'0' * 64}"):
        Bundle.open(tiny)


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b'{"tokenizer.json": 3}', b'{"tokenizer.json": [1]}', b"\xff"])
def test_a_damaged_record_is_ignored_and_made_anew(tiny: Path, hashed: list[str], raw: bytes) -> None:
    Bundle.open(tiny)
    (record,) = (user_cache_folder() / "bundles").iterdir()
    record.write_bytes(raw)
    hashed.clear()
    Bundle.open(tiny)
    assert len(hashed) == len(FILES)
    hashed.clear()
    Bundle.open(tiny)
    assert hashed == []


def test_a_cache_that_cannot_be_written_only_means_hashing_again(
    tiny: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tiny / "tokenizer.json" / "below a file"))
    Bundle.open(tiny)
    Bundle.open(tiny)
    assert len(hashed) == 2 * len(FILES)


def test_check_hashes_reads_everything_whatever_the_record_says(tiny: Path) -> None:
    bundle = Bundle.open(tiny)
    path = tiny / "onnx" / "model.onnx"
    before = path.stat()
    path.write_bytes(b"g" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    Bundle.open(tiny)  # by size and time nothing changed
    with pytest.raises(BundleError, match=r"model\.onnx: its SHA-256"):
        bundle.check_hashes()


def test_progress_counts_every_byte(tiny: Path) -> None:
    progress = Counted()
    Bundle.open(tiny, progress)
    assert progress.total == progress.done == sum(map(len, FILES.values()))
    Bundle.open(tiny).check_hashes(progress)
    assert progress.done == 2 * sum(map(len, FILES.values()))
    assert progress.finished == 2


def test_a_manifest_is_replaced_atomically(tiny: Path) -> None:
    bundle = Bundle.open(tiny)
    changed = replace_manifest(bundle, manifest(name="measured"))
    assert changed.manifest.name == Bundle.open(tiny).manifest.name == "measured"
    assert sorted(path.name for path in tiny.iterdir()) == sorted(
        ["chat_template.jinja", "edgekit.json", "onnx", "tokenizer.json"]
    )


def test_a_manifest_that_cannot_be_written_leaves_the_old_one(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle.open(tiny)

    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(EdgekitError, match="No space left on device"):
            replace_manifest(bundle, manifest(name="measured"))
    assert Bundle.open(tiny).manifest == manifest()
    with pytest.raises(BundleError, match="eos_ids"):
        replace_manifest(bundle, manifest(eos_ids=(1 << 20,)))
    assert Manifest.from_bytes((tiny / "edgekit.json").read_bytes(), "x") == manifest()
