"""Where the agent looks for its file of settings is what its help says."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from probes.agent import settings, settings_layers
from probes.agent.agent_cli import main, reader_has_gone


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


def test_a_file_that_another_user_has_put_there_is_not_used_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    planted, own = tmp_path / "planted.toml", tmp_path / "own.toml"
    planted.write_text("server = 'https://planted.example'")
    own.write_text("server = 'https://council.example'")

    def read(path: Path) -> bytes | None:
        return None if path == planted else path.read_bytes()

    for module in (settings, settings_layers):
        monkeypatch.setattr(module, "read_if_trusted", read)
    monkeypatch.setattr(settings, "usual_paths", lambda: (planted, own))
    assert main(["settings"]) == 0
    shown, said = capsys.readouterr()
    assert "https://council.example" in shown
    assert "planted.example" not in shown
    assert said.startswith(f"towpath-agent: {planted} is not used, because it belongs ")
    monkeypatch.setattr(settings, "usual_paths", lambda: (planted,))
    assert settings.settings_file(None) is None
    # Who names a file on the command line has chosen it.
    assert main(["--config", str(planted), "settings"]) == 0
    shown, said = capsys.readouterr()
    assert ("planted.example" in shown, said) == (True, "")


def test_output_that_nobody_reads_any_more_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert main(["what-we-collect"]) == 0
    # As Windows also says it.
    gone = OSError(errno.EINVAL, "Invalid argument")
    assert reader_has_gone(gone, "win32")
    assert not reader_has_gone(gone, "linux")
    assert not reader_has_gone(OSError(errno.ENOSPC, "full"), "win32")
