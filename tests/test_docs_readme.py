"""The README's commands work as described, with the README's own settings."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from documents import (
    blocks,
    text_of,
)
from services import free_port
from warm_command import run_to_end

from collectors.ingest.certificate import make_certificates
from towpath.demo.simulated_switches import SimulatedPort, SimulatedSwitch

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def council(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the README's own examples, and a certificate."""
    folder = tmp_path_factory.mktemp("council")
    tls = make_certificates(folder / "tls")
    for block in blocks(text_of("README.md"), "toml"):
        file_name = re.match(r"# (\S+)", block)
        assert file_name is not None
        block = block.replace("/etc/towpath/tls/towpath.crt", str(tls.certificate))
        block = block.replace("/etc/towpath/tls/towpath.key", str(tls.private_key))
        (folder / file_name[1]).write_text(block)
    return folder


def typed(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a command line in `folder` with the commands of this checkout."""
    program, *words = shlex.split(line)
    env = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(folder),
        "TOWPATH_SNMP_DEFAULT_USER": "towpath",
        "TOWPATH_SNMP_DEFAULT_AUTH_PASSWORD": "not a password",
        "TOWPATH_SNMP_DEFAULT_PRIV_PASSWORD": "not a password",
        **more,
    }
    if program == "towpath":
        return run_to_end(words, env, 100, folder)
    return subprocess.run(
        [program, *words],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def from_readme(readme_line: str) -> str:
    """Returns `readme_line` after checking that the README contains it exactly."""
    assert readme_line in text_of("README.md"), (
        f"README no longer contains {readme_line!r}"
    )
    return readme_line


def test_the_first_settings_pass_the_check_as_the_readme_says(council: Path) -> None:
    done = typed(from_readme("towpath check -c towpath.toml"), council)
    assert done.returncode == 0, done.stderr
    assert "1 site, 1 device, 1 line" in done.stdout


def test_the_first_settings_build_a_whole_installation(council: Path) -> None:
    done = typed(from_readme("towpath run -c towpath.toml --check"), council)
    assert done.returncode == 0, done.stderr
    assert "poll 1 device every 60 s" in done.stdout


def test_an_unknown_setting_is_an_error_with_a_suggestion(
    council: Path,
) -> None:
    text = (council / "towpath.toml").read_text()
    (council / "wrong.toml").write_text(text.replace("certificate =", "certificat ="))
    done = typed("towpath check -c wrong.toml", council)
    assert done.returncode == 2
    assert "wrong.toml:" in done.stderr
    assert "did you mean" in done.stderr


def test_a_token_for_laptops_is_made_as_the_readme_says(council: Path) -> None:
    state = council / "state"
    text = (council / "towpath.toml").read_text()
    moved = re.sub(r'^state = ".*"$', f'state = "{state}"', text, flags=re.MULTILINE)
    (council / "moved.toml").write_text(moved)
    line = from_readme("towpath fleet token -c towpath.toml --site town-hall --uses 50")
    done = typed(line.replace("towpath.toml", "moved.toml"), council)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"tow-\S+\n", done.stdout)


async def test_one_device_answers_as_the_readme_says(council: Path) -> None:
    ports = [SimulatedPort(n, f"GigabitEthernet1/0/{n}") for n in (1, 2)]
    async with SimulatedSwitch("core-1", ports, community="public") as switch:
        at = f"{switch.address}:{switch.port_number}"
        line = from_readme("towpath poll 10.1.0.2 --community public --json")
        line = line.replace("10.1.0.2", at)
        done = await asyncio.to_thread(typed, line, council)
    assert done.returncode == 0, done.stderr
    assert "GigabitEthernet1/0/2" in done.stdout
    assert isinstance(json.loads(done.stdout), dict)


def test_polling_an_absent_device_exits_with_one(council: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    line = f"towpath poll 127.0.0.1:{port} --community public --timeout 0.2 --tries 1"
    done = typed(line, council)
    assert done.returncode == 1


def test_this_machines_own_agent_measures_once_as_the_readme_says(
    council: Path,
) -> None:
    done = typed(from_readme("towpath-agent once --json"), council)
    report = json.loads(done.stdout)
    assert report["results"]
    # Without a policy there is nothing to measure, which is not an error.
    assert done.returncode in (0, 1), done.stderr


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("towpath-agent what-we-collect", "call_path"),
        ("towpath rules list", "line_down"),
        ("towpath rules check", ""),
        ("towpath dashboards check", "dashboards are valid"),
    ],
)
def test_commands_without_settings_succeed(
    line: str, holds: str, council: Path
) -> None:
    done = typed(line, council)
    assert done.returncode == 0, done.stderr
    assert holds in done.stdout


def test_grafana_files_are_written_to_the_given_folder(council: Path) -> None:
    done = typed("towpath dashboards build --out grafana --grafana 12", council)
    assert done.returncode == 0, done.stderr
    assert (council / "grafana" / "provisioning").is_dir()
