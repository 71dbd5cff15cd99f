from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.folders import user_cache_folder


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_the_variable_wins_everywhere(tmp_path: Path, platform: str) -> None:
    assert user_cache_folder({"EDGEKIT_CACHE": str(tmp_path)}, platform) == tmp_path


def test_linux_follows_the_base_directory_specification(tmp_path: Path) -> None:
    assert user_cache_folder({"XDG_CACHE_HOME": str(tmp_path)}, "linux") == tmp_path / "edgekit"
    home = Path.home() / ".cache" / "edgekit"
    assert user_cache_folder({}, "linux") == home
    assert user_cache_folder({"XDG_CACHE_HOME": "relative"}, "linux") == home


def test_macos_and_windows_have_their_own_places(tmp_path: Path) -> None:
    assert user_cache_folder({}, "darwin") == Path.home() / "Library" / "Caches" / "edgekit"
    assert user_cache_folder({"LOCALAPPDATA": str(tmp_path)}, "win32") == tmp_path / "edgekit" / "Cache"
    assert user_cache_folder({}, "win32") == Path.home() / "AppData" / "Local" / "edgekit" / "Cache"


def test_an_account_without_a_home_still_gets_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert user_cache_folder({}, "linux").is_absolute()
