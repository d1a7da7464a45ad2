"""The enrolment token is used once, and does not stay on the laptop."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_council import Door, door
from waiting import until

from probes.agent.enrolment_token import EnrolmentToken, without_token
from probes.agent.settings_layers import load_settings
from probes.wire.clock import wall_ms

AGENT = [sys.executable, "-m", "probes.agent.agent_cli"]


def new_token(council: Door) -> str:
    return council.registry.admin.make_token("hall", 5, 1, wall_ms())


def written(folder: Path, council: Door, more: str) -> Path:
    file = folder / "agent.toml"
    file.write_text(
        f'# Of Wrenford.\nserver = "https://127.0.0.1:{council.ingest.port}"\n{more}'
        f'ca_file = "{council.certificates.authority}"\n'
        f'state_folder = "{folder / "state"}"\n\n[spool]\nmax_days = 7\n'
    )
    return file


async def agent(
    *arguments: str | Path, more: dict[str, str] | None = None, given: bytes = b""
) -> tuple[int, str]:
    kept = {n: v for n, v in os.environ.items() if not n.startswith("TOWPATH_")}
    process = await asyncio.create_subprocess_exec(
        *AGENT,
        *map(str, arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**kept, "no_proxy": "127.0.0.1", **(more or {})},
    )
    out, _ = await asyncio.wait_for(process.communicate(given), 60)
    return process.returncode or 0, out.decode()


async def until_enrolled(config: Path, folder: Path, **more: str) -> None:
    """Runs the agent until it has enrolled."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith("TOWPATH_")}
    process = await asyncio.create_subprocess_exec(
        *AGENT, "--config", str(config), "run",
        env={**kept, "no_proxy": "127.0.0.1", **more},
    )  # fmt: skip
    try:
        status = folder / "state" / "status.json"
        await until(
            lambda: status.exists() or process.returncode is not None, seconds=60
        )
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.wait_for(process.wait(), 20)
    assert (folder / "state" / "credential.json").exists()


def files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def test_a_token_in_the_settings_is_taken_out_once_the_laptop_is_enrolled(
    tmp_path: Path,
) -> None:
    async with door(tmp_path / "council") as council:
        token = new_token(council)
        config = written(tmp_path, council, f'enrolment_token = "{token}"\n')
        config.chmod(0o640)
        before = config.read_text()
        await until_enrolled(config, tmp_path)
        assert config.read_text() == before.replace(
            f'enrolment_token = "{token}"\n', ""
        )
        assert stat.S_IMODE(config.stat().st_mode) == 0o640
        everything = b"".join(files(tmp_path / "state"))
        assert token.encode() not in everything


async def test_a_token_file_is_removed_once_the_laptop_is_enrolled(
    tmp_path: Path,
) -> None:
    async with door(tmp_path / "council") as council:
        file = tmp_path / "token"
        file.write_text(new_token(council) + "\n")
        config = written(tmp_path, council, f'enrolment_token_file = "{file}"\n')
        await until_enrolled(config, tmp_path)
        assert not file.exists()
        # And it starts again without it.
        (tmp_path / "state" / "status.json").unlink()
        await until_enrolled(config, tmp_path)


async def test_the_token_may_be_a_credential_of_systemd(tmp_path: Path) -> None:
    async with door(tmp_path / "council") as council:
        held = tmp_path / "credentials"
        held.mkdir()
        (held / "enrolment-token").write_text(new_token(council))
        config = written(tmp_path, council, "")
        await until_enrolled(config, tmp_path, CREDENTIALS_DIRECTORY=str(held))


async def test_an_empty_credential_of_systemd_is_no_token(tmp_path: Path) -> None:
    async with door(tmp_path / "council") as council:
        # What the unit sets where there is none.
        (tmp_path / "enrolment-token").write_text("\n")
        config = written(tmp_path, council, "")
        code, output = await agent(
            "run", "--config", config, more={"CREDENTIALS_DIRECTORY": str(tmp_path)}
        )
        assert code == 2
        assert "not enrolled" in output


async def test_the_token_may_come_by_file_or_standard_input(tmp_path: Path) -> None:
    async with door(tmp_path / "council") as council:
        token = new_token(council)
        config = written(tmp_path, council, "")
        code, output = await agent(
            "enrol",
            "--config",
            config,
            "--token-file",
            "-",
            given=f"{token}\n".encode(),
        )
        assert code == 0, output
        file = tmp_path / "token"
        file.write_text(token)
        code, output = await agent(
            "enrol", "--config", config, "--again", "--token-file", file
        )
        assert code == 0, output
        # It may lie on a share, for others too.
        assert file.exists()
        code, output = await agent(
            "enrol", "--config", config, "--again", "--token-file", tmp_path / "none"
        )
        assert code == 2
        assert "token cannot be read" in output


async def test_an_enrolled_laptop_forgets_a_token_that_an_earlier_version_left(
    tmp_path: Path,
) -> None:
    async with door(tmp_path / "council") as council:
        config = written(tmp_path, council, "")
        code, output = await agent(
            "enrol", "--config", config, "--token", new_token(council)
        )
        assert code == 0, output
        config = written(tmp_path, council, 'enrolment_token = "tow-left"\n')
        code, output = await agent("enrol", "--config", config)
        assert code == 0, output
        assert "tow-left" not in config.read_text()


def test_settings_that_cannot_be_changed_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "fixed"
    folder.mkdir()
    file = folder / "agent.toml"
    # For a user who may not write it; root may write everything.
    file.write_text('"enrolment_token" = "tow-left"\n')
    settings = load_settings(file, {}).settings
    token = EnrolmentToken(settings, file, {})
    assert token.read() == "tow-left"
    (left,) = token.forget()
    assert str(file) in left
    assert "remove the line" in left


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_settings_that_may_not_be_written_are_named(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('enrolment_token = "tow-left"\n')
    file.chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        assert EnrolmentToken(load_settings(file, {}).settings, file, {}).forget()
    finally:
        tmp_path.chmod(0o700)


def test_the_environment_is_not_handed_on_with_the_token() -> None:
    environment = {"TOWPATH_AGENT_ENROLMENT_TOKEN": "tow-1", "PATH": "/bin"}
    token = EnrolmentToken(load_settings(None, environment).settings, None, environment)
    assert token.read() == "tow-1"
    assert token.forget() == []
    assert environment == {"PATH": "/bin"}


keys = st.sampled_from(["server", "state_folder", "enrolment_tokens", "x"])
lines = st.one_of(
    st.tuples(keys, st.text("abc #='\"\\", max_size=8)).map(
        lambda pair: f"{pair[0]} = {pair[1]!r}"
    ),
    st.sampled_from(
        ['enrolment_token = "t"', "  enrolment_token='t' # once", "[spool]", "# a", ""]
    ),
)


@given(st.lists(lines, max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_nothing_else_in_the_settings_changes(parts: list[str], end: str) -> None:
    text = end.join(parts)
    rest = without_token(text)
    if rest is None:
        return
    before, after = tomllib.loads(text), tomllib.loads(rest)
    assert "enrolment_token" not in after
    before.pop("enrolment_token", None)
    assert after == before
