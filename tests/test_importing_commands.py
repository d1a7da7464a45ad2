"""`towpath import` writes estate entries to stdout and its summary to stderr."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import api_doubles
from librenms_answers import ANSWERS
from netbox_answers import V3
from towpath_command import towpath

from collectors.estate import load


async def test_the_commands_write_entries_and_report_the_rest(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    token = ("--token-file", str(tmp_path / "token"))
    kept = tmp_path / "new-credentials.toml"
    with api_doubles.librenms(ANSWERS) as server:
        ended = await asyncio.to_thread(
            towpath,
            *("import", "librenms", "--url", server.url, *token),
            *("--credentials-out", str(kept), "--out", str(tmp_path / "estate.toml")),
        )
    assert ended.returncode == 0, ended.stderr
    assert "new: 2 sites, 7 devices, 0 lines" in ended.stderr
    assert "council" not in ended.stderr
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert len(load(tmp_path / "estate.toml").devices) == 7
    with api_doubles.netbox(V3, token="another") as server:
        ended = await asyncio.to_thread(
            towpath, "import", "netbox", "--url", server.url, *token
        )
    assert ended.returncode == 1
    assert "rejects the token" in ended.stderr
    ended = towpath(
        "import", "netbox", "--url", "http://x", *token, "--role", "a=swich"
    )
    assert ended.returncode == 2
    assert "did you mean 'switch'?" in ended.stderr
