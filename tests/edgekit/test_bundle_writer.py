from __future__ import annotations

import errno
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from manifests import FILES, manifest, write_bundle, write_files

from edgekit import bundle_writer
from edgekit.bundle import Bundle
from edgekit.bundle_writer import BundleWriter
from edgekit.errors import BundleError, EdgekitError, UsageError
from edgekit.staging import Staging, rename

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path_factory.mktemp("cache")))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def export(output: Path, error: BaseException | None = None) -> None:
    """Replace a bundle by one named "new", or fail in the middle."""
    with BundleWriter(output, force=True) as writer:
        write_files(writer.folder)
        if error is not None:
            raise error
        writer.write(manifest(name="new"))


def test_a_bundle_is_written_whole(tmp_path: Path) -> None:
    output = tmp_path / "tiny.edge"
    with BundleWriter(output) as writer:
        write_files(writer.folder)
        (writer.folder / "prefixes").mkdir()
        (writer.folder / "prefixes" / "system").write_bytes(b"not listed")
        assert not output.exists()
        written = writer.write(manifest(files={}))
    assert written == manifest()
    assert Bundle.open(output).manifest == written
    assert names(tmp_path) == ["tiny.edge"]


def test_parents_are_made_and_removed_again_on_failure(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a" / "b" / "tiny.edge")
    with pytest.raises(ZeroDivisionError), BundleWriter(tmp_path / "c" / "d" / "tiny.edge"):
        raise ZeroDivisionError
    assert names(tmp_path) == ["a"]


def test_an_output_that_exists_is_refused_with_the_way_out(tmp_path: Path) -> None:
    output = write_bundle(tmp_path / "tiny.edge")
    with pytest.raises(UsageError, match=r"tiny\.edge exists") as caught, BundleWriter(output):
        pytest.fail("entered")
    assert "--force" in caught.value.hint
    assert names(tmp_path) == ["tiny.edge"]


def test_force_replaces_it(tmp_path: Path) -> None:
    output = write_bundle(tmp_path / "tiny.edge")
    (output / "left over").write_bytes(b"x")
    with BundleWriter(output, force=True) as writer:
        write_files(writer.folder)
        assert Bundle.open(output).manifest.name == "tiny"
        writer.write(manifest(name="new"))
    assert Bundle.open(output).manifest.name == "new"
    assert "left over" not in names(output)
    assert names(tmp_path) == ["tiny.edge"]


def test_a_failure_leaves_the_old_bundle(tmp_path: Path) -> None:
    output = write_bundle(tmp_path / "tiny.edge")
    for failure in (ZeroDivisionError, KeyboardInterrupt, MemoryError):
        with pytest.raises(failure):
            export(output, failure())
    with pytest.raises(BundleError), BundleWriter(output, force=True) as writer:
        writer.write(manifest())  # names files that are not there
    assert Bundle.open(output).manifest == manifest()
    assert names(tmp_path) == ["tiny.edge"]


@pytest.mark.parametrize("failure", [PermissionError, KeyboardInterrupt])
def test_the_old_bundle_comes_back_when_the_new_one_cannot_be_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: type[BaseException]
) -> None:
    output = write_bundle(tmp_path / "tiny.edge")

    def second_fails(source: Path, target: Path) -> None:
        if source.name == "new":
            raise failure(errno.EACCES, "Permission denied", str(source))
        rename(source, target)

    monkeypatch.setattr(bundle_writer, "rename", second_fails)
    expected = EdgekitError if failure is PermissionError else KeyboardInterrupt
    with pytest.raises(expected):
        export(output)
    assert Bundle.open(output).manifest == manifest()
    assert names(tmp_path) == ["tiny.edge"]


def test_an_output_that_is_a_file_is_refused_even_with_force(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"precious")
    with pytest.raises(UsageError, match="is a file"), BundleWriter(tmp_path / "file", force=True):
        pytest.fail("entered")
    assert (tmp_path / "file").read_bytes() == b"precious"
    with pytest.raises(EdgekitError, match="cannot write"), BundleWriter(tmp_path / "file" / "tiny.edge"):
        pytest.fail("entered")
    assert names(tmp_path) == ["file"]


def test_force_never_replaces_the_folder_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "deep")
    for output in (".", "..", tmp_path, Path.home()):
        with pytest.raises(UsageError, match="current or the home folder"), BundleWriter(output, force=True):
            pytest.fail("entered")
    with pytest.raises(UsageError, match="root of a disk"):
        BundleWriter(Path(tmp_path.anchor), force=True)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", denied)  # the tests may run as root, whom nothing is denied
    with pytest.raises(EdgekitError, match=r"cannot write .*tiny\.edge: Permission denied") as caught:
        BundleWriter(tmp_path / "tiny.edge").__enter__()
    assert "permissions" in caught.value.hint
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), OSError("4194304 requested and 1024 written")]
)
def test_a_full_disk_says_so_and_leaves_nothing(tmp_path: Path, error: OSError) -> None:
    with pytest.raises(EdgekitError, match="the disk is full") as caught:
        export(tmp_path / "x.edge", error)
    assert caught.value.__cause__ is error
    assert caught.value.hint
    assert names(tmp_path) == []


def test_a_disk_that_fills_up_with_the_manifest_leaves_the_old_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = write_bundle(tmp_path / "tiny.edge")
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == "edgekit.json":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EdgekitError, match="the disk is full"):
        export(output)
    assert Bundle.open(output).manifest == manifest()
    assert names(tmp_path) == ["tiny.edge"]


def test_an_error_about_other_files_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), BundleWriter(tmp_path / "x.edge"):
        (tmp_path / "checkpoint").read_bytes()
    assert names(tmp_path) == []


def test_two_exports_to_one_output_do_not_meet(tmp_path: Path) -> None:
    output = tmp_path / "tiny.edge"
    with BundleWriter(output) as writer:
        write_files(writer.folder)
        with pytest.raises(EdgekitError, match=r"another export is writing .*tiny\.edge"), BundleWriter(output):
            pytest.fail("entered")
        write_bundle(tmp_path / "other.edge")
        writer.write(manifest())
    assert Bundle.open(output).manifest == manifest()
    assert names(tmp_path) == ["other.edge", "tiny.edge"]


def test_an_old_bundle_whose_replacement_was_killed_between_two_renames_comes_back(tmp_path: Path) -> None:
    output = write_bundle(tmp_path / "tiny.edge")
    staging = Staging(output)
    staging.folder.mkdir()
    staging.new.mkdir()
    output.rename(staging.old)
    with pytest.raises(UsageError, match="exists"), BundleWriter(output):
        pytest.fail("entered")
    assert Bundle.open(output).manifest == manifest()
    assert names(tmp_path) == ["tiny.edge"]


# A real process that writes until it is stopped; `ready` tells when it is in the middle.
CHILD = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from manifests import write_files
from edgekit.bundle_writer import BundleWriter
output = Path(sys.argv[1])
with BundleWriter(output, force=True) as writer:
    write_files(writer.folder)
    print("ready", flush=True)
    with (writer.folder / "big").open("wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
            time.sleep(0.01)
"""


def start(output: Path) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", CHILD, str(output), str(ROOT), str(ROOT / "tests")]
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == "ready\n"
    time.sleep(0.05)
    return child


if sys.platform != "win32":  # which sends Ctrl-C to whole console groups only

    def test_ctrl_c_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
        child = start(tmp_path / "tiny.edge")
        assert names(tmp_path) == [".tiny.edge.edgekit-partial"]
        child.send_signal(signal.SIGINT)
        assert child.wait(20) != 0
        assert names(tmp_path) == []


def test_a_kill_in_the_middle_leaves_no_bundle_and_the_next_export_cleans_up(tmp_path: Path) -> None:
    output = tmp_path / "tiny.edge"
    child = start(output)
    with pytest.raises(EdgekitError, match="another export"), BundleWriter(output):
        pytest.fail("entered")
    child.kill()
    child.wait(20)
    assert names(tmp_path) == [".tiny.edge.edgekit-partial"]
    write_bundle(output)
    assert names(tmp_path) == ["tiny.edge"]
    assert Bundle.open(output).manifest == manifest()
    assert names(output) == sorted({name.split("/")[0] for name in FILES} | {"edgekit.json"})


def test_a_kill_while_replacing_leaves_the_old_bundle(tmp_path: Path) -> None:
    output = write_bundle(tmp_path / "tiny.edge")
    child = start(output)
    child.kill()
    child.wait(20)
    assert Bundle.open(output).manifest == manifest()


if sys.platform != "win32":  # which has no such limits

    def test_a_real_limit_on_file_size_is_explained_and_leaves_nothing(tmp_path: Path) -> None:
        program = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n" + CHILD
        arguments = [sys.executable, "-c", program, str(tmp_path / "tiny.edge"), str(ROOT), str(ROOT / "tests")]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert "is larger than the file system or a limit of this account allows" in done.stderr
        assert names(tmp_path) == []
