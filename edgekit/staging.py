"""A locked sibling folder in which something is built before it is renamed into place.

`.NAME.edgekit-partial` holds `lock`, `new` (what is being built) and, for a moment, `old` (what is being replaced).
The lock is the system's, so it ends with its process, however that ends: who gets it knows that whatever lies here
was left by a killed one. The lock file lies beside `new`, not in it, since Windows renames no folder with open files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import time
from pathlib import Path

SUFFIX = ".edgekit-partial"


class LockedError(Exception):
    """Another process is building for the same output."""


class Staging:
    """The sibling folder of one output, locked from `open` to `close`."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output.with_name(f".{output.name}{SUFFIX}")
        self.new = self.folder / "new"
        self.old = self.folder / "old"
        self._lock_path = self.folder / "lock"
        self._lock = -1

    def open(self) -> None:
        """Lock the folder, clear what a killed process left in it, and make an empty `new`.

        Raises:
            LockedError: another process holds it.
            OSError: the folder cannot be made.
        """
        try:
            while not self._try_lock():
                pass
        except BaseException:
            with contextlib.suppress(OSError):  # not empty: someone else's
                self.folder.rmdir()
            raise
        try:
            self.recover()
            _remove(self.new)
            _remove(self.old)
            self.new.mkdir()
        except BaseException:
            self.close()
            raise

    def recover(self) -> None:
        """Put `old` back if its replacement never arrived: someone was stopped between two renames."""
        if self.old.is_dir() and not os.path.lexists(self.output):
            rename(self.old, self.output)

    def close(self) -> None:
        """Remove everything and give up the lock. Safe to call twice."""
        if self._lock < 0:
            return
        shutil.rmtree(self.new, ignore_errors=True)
        shutil.rmtree(self.old, ignore_errors=True)
        # POSIX: unlinked while it is still locked, so that it is surely ours. Windows: an open file cannot be removed,
        # and once it is closed, another process that has opened it keeps it.
        with contextlib.suppress(OSError):
            if sys.platform != "win32":
                self._lock_path.unlink()
        os.close(self._lock)
        self._lock = -1
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                self._lock_path.unlink()
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _try_lock(self) -> bool:
        """Return False if the folder was removed by its last holder in the meantime."""
        with contextlib.suppress(FileExistsError):
            self.folder.mkdir()
        if self.folder.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, "is a link, not a folder", str(self.folder))
        try:
            handle = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            return False
        try:
            lock(handle)
            held, there = os.fstat(handle), self._lock_path.stat()
        except BaseException as error:
            os.close(handle)
            if isinstance(error, FileNotFoundError):
                return False
            raise
        if (held.st_dev, held.st_ino) != (there.st_dev, there.st_ino):
            os.close(handle)
            return False
        self._lock = handle
        return True


if sys.platform == "win32":
    import msvcrt

    def lock(handle: int) -> None:
        """Lock an open file or raise LockedError."""
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise LockedError from error

else:
    import fcntl

    def lock(handle: int) -> None:
        """Lock an open file or raise LockedError."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockedError from error
        except OSError as error:
            # Some network file systems have no locks: better an unlocked export than none.
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                raise


def rename(source: Path, target: Path, attempts: int = 20) -> None:
    """Rename, patiently on Windows, where virus scanners hold new files open for a moment."""
    try:
        source.rename(target)
    except PermissionError:
        if os.name != "nt" or attempts == 1:
            raise
        time.sleep(0.1)
        rename(source, target, attempts - 1)


def sync_file(path: Path) -> None:
    """Have the system write a file to the disk now, so that a rename cannot outlive its content."""
    # Windows flushes only what is open for writing; elsewhere reading is enough, and files may be read-only.
    with path.open("r+b" if sys.platform == "win32" else "rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """The same for a folder's entries, where the system has that."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):  # some network file systems refuse it
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove(path: Path) -> None:
    if os.path.lexists(path):
        shutil.rmtree(path)
