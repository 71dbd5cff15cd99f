"""What `edgekit bench --runtime all` measured on this machine, kept in the user's cache folder for runtime="auto".

A measurement counts only for the very files, processor and engine versions that it was made with: they are the name of
its file, so nothing has to be noticed or thrown away when one of them changes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import BundleError
from edgekit.folders import cache_record, write_whole
from edgekit.machine import read_cpu
from edgekit.speeds import Measurement, read_measurement

if TYPE_CHECKING:
    from edgekit.bundle import Bundle


def recall(bundle: Bundle, versions: Mapping[str, str]) -> Measurement | None:
    """Return what was measured with these engines, None where nothing was or where what is kept is damaged.

    Args:
        bundle: The bundle.
        versions: The version of the engine of every runtime that can open it.
    """
    with contextlib.suppress(OSError, BundleError):
        found = read_measurement(_path(bundle, versions))
        if set(found.speeds) & set(versions):
            return found
    return None


def remember(bundle: Bundle, versions: Mapping[str, str], measurement: Measurement) -> Path:
    """Keep a measurement and return its file.

    Raises:
        OSError: the cache folder cannot be written.
    """
    path = _path(bundle, versions)
    write_whole(path, json.dumps(dataclasses.asdict(measurement), indent=1))
    return path


def _path(bundle: Bundle, versions: Mapping[str, str]) -> Path:
    cpu = read_cpu()
    files = {name: entry.sha256 for name, entry in bundle.manifest.files.items()}
    key = json.dumps([files, versions, cpu.name, cpu.features, cpu.physical_cores], sort_keys=True)
    return cache_record("speeds", key.encode())
