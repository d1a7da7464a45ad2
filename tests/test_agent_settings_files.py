"""Where the agent looks for its file of settings is what its help says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from probes.agent import settings


@pytest.mark.skipif(sys.platform == "win32", reason="has other folders")
def test_the_usual_files_are_those_of_the_help_with_the_users_own_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    system = Path("/etc/towpath-agent.toml")
    assert settings.usual_paths() == (
        tmp_path / ".config" / "towpath-agent" / "agent.toml",
        system,
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", "/elsewhere")
    assert settings.usual_paths() == (
        Path("/elsewhere/towpath-agent/agent.toml"),
        system,
    )


def test_windows_folders_are_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = (r"%APPDATA%\towpath-agent\agent.toml", r"%NONE%\towpath-agent\a.toml")
    monkeypatch.setattr(settings, "FILES", written)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("APPDATA", "C:/Users/me")
    monkeypatch.delenv("NONE", raising=False)
    assert settings.usual_paths() == (
        Path("C:/Users/me", r"towpath-agent\agent.toml"),
        Path(".", r"towpath-agent\a.toml"),
    )
