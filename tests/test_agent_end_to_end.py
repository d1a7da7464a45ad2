"""The agent as a process, against the council's real receiving end."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from ingest_council import door
from waiting import until

from collectors.ingest.certificate import make_certificates
from collectors.ingest.ingest_config import (
    PolicyConfig,
    ServiceConfig,
    TeamsRelayConfig,
)
from probes.agent.enrol import (
    StoredCredential,
    enrol,
    read_credential,
    save_credential,
)
from probes.wire.clock import wall_ms
from probes.wire.machine_number import machine_digest

NO_RELAY = TeamsRelayConfig(host="")
AGENT = [sys.executable, "-m", "probes.agent.agent_cli"]


def settings(folder: Path, port: int, ca: Path, more: str = "") -> Path:
    file = folder / "agent.toml"
    file.write_text(
        f'server = "https://127.0.0.1:{port}"\nca_file = "{ca}"\n'
        f'state_folder = "{folder / "state"}"\n{more}'
    )
    return file


def environment() -> dict[str, str]:
    kept = {n: v for n, v in os.environ.items() if not n.startswith("TOWPATH_")}
    return {**kept, "no_proxy": "127.0.0.1"}


async def agent(*arguments: str | Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *AGENT,
        *map(str, arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_laptop_enrols_measures_delivers_and_stops_with_nothing_lost(
    tmp_path: Path,
) -> None:
    quick = PolicyConfig(
        teams_relay=NO_RELAY,
        services=(ServiceConfig(name="council", url="https://127.0.0.1:1/"),),
        cadence_s={"vpn": 1, "agent": 1, "web": 1, "name_lookup": 0, "call_path": 0},
        report_s=10,
    )
    async with door(tmp_path / "council", policy=quick) as council:
        config = settings(tmp_path, council.ingest.port, council.certificates.authority)
        token = council.registry.admin.make_token("hall", 1, 1, wall_ms())
        code, out, err = await agent("--config", config, "run")
        assert code == 2
        assert "not enrolled" in err
        code, out, err = await agent(
            "enrol", "--config", config, "--token", token,
            "--server", f"https://127.0.0.1:{council.ingest.port}",
        )  # fmt: skip
        assert (code, err) == (0, "")
        assert "of hall is enrolled" in out
        for name in ("credential.json", "device"):
            assert (tmp_path / "state" / name).stat().st_mode & 0o777 == 0o600

        process = await asyncio.create_subprocess_exec(
            *AGENT, "--config", str(config), "run", env=environment()
        )
        try:
            await until(lambda: len(council.append.rows()) >= 6, seconds=60)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 60) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        measured = {row[0] for row in council.append.rows()}
        assert {"vpn", "agent", "web"} <= measured

        code, out, _ = await agent("--config", config, "status")
        assert code == 1
        assert "The agent is not running" in out
        assert "council refused the connection" in out.lower()
        assert "enrolled" not in out
        code, out, _ = await agent("--config", config, "sent", "--last", "3")
        assert code == 0
        sent = [json.loads(line) for line in out.splitlines()]
        assert len(sent) == 3
        assert all(line["report"]["version"] == 1 for line in sent)


async def test_a_laptop_renews_its_secret_and_a_copy_of_it_becomes_another(
    tmp_path: Path,
) -> None:
    quick = PolicyConfig(teams_relay=NO_RELAY, cadence_s={"vpn": 1}, report_s=10)
    async with door(tmp_path / "council", policy=quick) as council:
        port, authority = council.ingest.port, council.certificates.authority

        async def works(name: str, serial: str, done: Callable[[], bool]) -> None:
            """Runs the agent of the folder on the computer with that number."""
            folder = tmp_path / name
            (folder / "machine-number").write_text(serial)
            process = await asyncio.create_subprocess_exec(
                *AGENT,
                "--config",
                str(settings(folder, port, authority)),
                "run",
                env={**environment(), "CREDENTIALS_DIRECTORY": str(folder)},
            )
            try:
                await until(done, seconds=60)
            finally:
                process.terminate()
                assert await asyncio.wait_for(process.wait(), 20) == 0

        def stored(name: str) -> StoredCredential:
            return read_credential(tmp_path / name / "state")

        def reporting() -> set[str]:
            return {agent for _, agent, _ in council.append.rows()}

        first = tmp_path / "first"
        (first / "state").mkdir(parents=True)
        token = council.registry.admin.make_token("hall", 1, 1, wall_ms())
        server, trusted = f"https://127.0.0.1:{port}", str(authority)
        old = await enrol(server, token, first / "state", trusted, "test")
        old = msgspec.structs.replace(
            old, machine=machine_digest("PF3ABCDE"), made_ms=old.made_ms - 10**10
        )
        save_credential(first / "state", old)
        shutil.copytree(first, tmp_path / "copy")
        # A copy that starts after the first one has a new secret is refused.
        await works("copy", "5CG1234XYZ", lambda: len(reporting()) == 1)
        await works(
            "first",
            "PF3ABCDE",
            lambda: (
                len(reporting()) == 2
                and stored("first").secret != old.secret
                and not stored("first").unconfirmed
            ),
        )
        assert reporting() == {old.agent, stored("copy").agent}
        assert stored("first").agent == old.agent
        council.registry.save_seen()
        machines = {agent.machine for agent in council.registry.agents()}
        assert len(machines) == 2


async def test_a_revoked_laptop_reports_that_and_keeps_its_reports(
    tmp_path: Path,
) -> None:
    quick = PolicyConfig(teams_relay=NO_RELAY, cadence_s={"vpn": 1}, report_s=10)
    async with door(tmp_path / "council", policy=quick) as council:
        config = settings(tmp_path, council.ingest.port, council.certificates.authority)
        now_ms = wall_ms()
        token = council.registry.admin.make_token("hall", 1, 1, now_ms)
        code, *_ = await agent("enrol", "--config", config, "--token", token)
        assert code == 0
        for laptop in council.registry.agents():
            council.registry.admin.revoke(laptop.agent, wall_ms(), "test")
        process = await asyncio.create_subprocess_exec(
            *AGENT, "--config", str(config), "run", env=environment()
        )
        status = tmp_path / "state" / "status.json"
        try:
            await until(
                lambda: status.exists() and "refused this" in status.read_text(), 60
            )
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), 20)
        _, out, _ = await agent("--config", config, "status")
        assert "refused this laptop's credential" in out


async def test_a_certificate_that_is_not_trusted_is_a_sentence(tmp_path: Path) -> None:
    async with door(tmp_path / "council") as council:
        other = make_certificates(tmp_path / "tls").authority
        config = settings(tmp_path, council.ingest.port, other)
        code, _, err = await agent("enrol", "--config", config, "--token", "x")
    assert code == 1
    assert "certificate" in err
    assert "Traceback" not in err


def test_once_prints_results_and_json_without_any_server(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*AGENT, "once", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={**environment(), "TOWPATH_AGENT_STATE_FOLDER": str(tmp_path)},
            check=False,
        )

    done = run("--json", "--probe", "agent", "--probe", "call_path")
    assert done.returncode == 0
    tree = json.loads(done.stdout)
    assert [result["outcome"] for result in tree["results"]] == ["ok", "not_configured"]
    refused = run("--web", "http://127.0.0.1:9/", "--probe", "web")
    assert refused.returncode == 1
    assert "refused" in refused.stdout
    assert run("--probe", "telepathy").returncode == 2
    wrong = run("--web", "teams")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "expected an address" in wrong.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('sever = "x"', "did you mean 'server'"),
        ('server = "http://towpath.example"', "expected https://"),
        ("server", "is not TOML"),
    ],
)
def test_a_wrong_settings_file_is_one_sentence(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(text)
    done = subprocess.run(
        [*AGENT, "status", "--config", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        check=False,
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_what_we_collect_names_every_field_and_needs_nothing() -> None:
    from probes.wire.measurements import MEASUREMENTS

    done = subprocess.run(
        [*AGENT, "what-we-collect"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        check=True,
    )
    for measurement in MEASUREMENTS:
        assert f" ({measurement.name}): " in done.stdout
        for field in measurement.fields:
            assert f"\n  {field.name} " in done.stdout
    assert "SSID" in done.stdout
