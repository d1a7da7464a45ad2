"""`towpath demo`: runs a simulated council on this machine, breaks one of its lines,
and shows how Towpath reports that.

Everything goes through the real code: SNMP over UDP, HTTPS, a broker, the journal, the
store, the rules, a signed webhook.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from rich.console import Console

from collectors.estate import load
from collectors.ingest import Registry
from collectors.ingest.certificate import Certificates, make_certificates
from collectors.ingest.demo_broker import DemoBroker, Users
from collectors.reflector import ReflectorConfig, ReflectorService
from dashboards.report import Month, site_report
from probes.agent.settings import Mqtt
from probes.wire.clock import wall_ms
from towpath.config import ROLES, TowpathConfig, read
from towpath.demo.demo_council import DemoPorts, write_estate
from towpath.demo.demo_ports import pick_ports
from towpath.demo.grafana_steps import TOKEN_FILE, steps, write_boards, write_token
from towpath.demo.live_stream import LiveStream
from towpath.demo.simulated_laptops import Fleet, fleet
from towpath.demo.story import Story
from towpath.demo.town import (
    BeaconServer,
    Mosquitto,
    OnCall,
    Switches,
    VpnGatewayServer,
)
from towpath.log_setup import LogConfig, configure
from towpath.report_settings import report_settings
from towpath.run import Installation, StartFailed

Piece = TypeVar("Piece")

WEBHOOK_KEY = "demo-webhook-key"
_BROKER_PASSWORD = "demo-broker-password"


def settings_toml(ports: DemoPorts, certificates: Certificates, folder: Path) -> str:
    """The demo's towpath.toml: ordinary settings with short intervals."""
    return f"""# Towpath's settings for the demo: ordinary, but with short intervals.
council = "Wrenford Borough Council (demo)"
state = "state"
estate = "estate.toml"
self_s = 10

[snmp]
period_s = 5
timeout_s = 0.7
budget_s = 4
# This machine would answer echoes for a switch that is cut off.
ping_s = 0
neighbours_s = 20

[traps]
enabled = false

[vpn_gateways]
period_s = 5
ca_file = "{certificates.authority}"

[ingest]
aside = "state/aside/ingest"

[ingest.https]
host = "127.0.0.1"
port = {ports.https}
certificate = "{certificates.certificate}"
private_key = "{certificates.private_key}"

[ingest.mqtt]
host = "127.0.0.1"
port = {ports.broker}
tls = {str(Mosquitto.program() is not None).lower()}
ca_file = "{certificates.authority}"
password_file = "broker/ingest-password"
{_BROKER_FILES if Mosquitto.program() is not None else ""}
[ingest.policy]
names = ["localhost"]
teams_relay = {{host = ""}}
services = [{{name = "council", url = "https://localhost:{ports.ndt7}/echo"}}]
cadence_s = {{call_path = 20, name_lookup = 20, web = 20, vpn = 20, agent = 20}}
report_s = 10
reflector_secret_file = "reflector.key"

[groups]
period_s = 60
window_s = 60
settle_s = 5

[store]
kind = "embedded"
flush_s = 2

[alerts]
base_url = "http://127.0.0.1:{ports.web}"
council = "Wrenford (demo)"
rules = "rules.yaml"
group_s = 2

[alerts.events.committees]
file = "events.ics"

[alerts.channels.on_call]
kind = "webhook"
url = "http://127.0.0.1:{ports.webhook}/pages"
secret = {{ file = "webhook.key" }}

[web]
port = {ports.web}
contact = "the service desk, 01632 960000"
reports = "reports"
refresh_s = 5

[web.grafana]
token_file = "{TOKEN_FILE}"

[metrics]
port = 0
"""


_BROKER_FILES = """
[ingest.broker]
password_file = "broker/passwords"
acl_file = "broker/acl"
pid_file = "broker/mosquitto.pid"
every_s = 1
"""

RULES = """# The demo cannot wait for a minute and a half, so each rule holds for less.
overrides:
  - {rule: line_down, hold: 8s, keep_for: 4s}
  - {rule: port_down, hold: 8s, keep_for: 4s}
  - {rule: device_unreachable, hold: 8s, keep_for: 4s}
  - {rule: site_unreachable, hold: 8s, keep_for: 4s}
"""


def run_demo(
    for_s: float | None, web_port: int = 8080, keep: Path | None = None
) -> int:
    """Runs the demo. Returns 0 if the fault was found, its cause named, and resolved.

    Ends after `for_s`, or on Ctrl-C if that is None. `keep`: the folder for all files,
    instead of one that is deleted at the end.
    """
    console = Console(highlight=False)
    # Warnings are part of the story, which reports them itself.
    configure(LogConfig(level="error"))
    try:
        folder = keep or Path(tempfile.mkdtemp(prefix="towpath-demo-"))
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        console.print(f"[bold red]the demo could not start:[/] {error}")
        return 1
    try:
        return asyncio.run(_run(console, folder.resolve(), for_s, web_port))
    except KeyboardInterrupt:
        return 130
    except StartFailed as error:
        console.print(f"[bold red]the demo could not start:[/] {error}")
        return 1
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


async def _run(
    console: Console, folder: Path, for_s: float | None, web_port: int
) -> int:
    began = time.monotonic()

    def say(text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        console.print(f"[dim]{minutes}:{seconds:02}[/]  {text}")

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    ports = pick_ports(web_port)
    if ports.web != web_port:
        say(f"port {web_port} is in use, so the status page is on port {ports.web}")
    certificates = make_certificates(
        folder / "tls", ("localhost", "127.0.0.1", ports.address)
    )
    write_estate(folder, ports)
    (folder / "towpath.toml").write_text(settings_toml(ports, certificates, folder))
    (folder / "rules.yaml").write_text(RULES)
    _write_secret(folder / "webhook.key", WEBHOOK_KEY)
    _write_secret(folder / "reflector.key", secrets.token_hex(32))
    (folder / "broker").mkdir(exist_ok=True)
    (folder / "reports").mkdir(exist_ok=True)
    _write_secret(folder / "broker" / "ingest-password", _BROKER_PASSWORD)
    grafana_token = write_token(folder)
    os.environ["TOWPATH_SNMP_DEMO_COMMUNITY"] = "demo"
    config = read(folder / "towpath.toml")
    story = Story(say, config, ports)
    async with contextlib.AsyncExitStack() as town:

        async def start(name: str, piece: AbstractAsyncContextManager[Piece]) -> Piece:
            try:
                return await town.enter_async_context(piece)
            except OSError as error:
                raise StartFailed(f"{name}: {error}") from error

        switches = await start("the switches", Switches(ports.switches))
        await start("the VPN gateway", VpnGatewayServer(ports.vpn_door, certificates))
        beacon = BeaconServer(ports.beacon, certificates, ports.address)
        await start("the beacon", beacon)
        await start("the live stream", LiveStream(ports.stream))
        on_call = OnCall(ports.webhook, WEBHOOK_KEY, story.add_page)
        await start("the webhook", on_call)
        reflector = ReflectorConfig(
            addresses=("127.0.0.1",),
            stamp_port=ports.stamp,
            web_port=ports.ndt7,
            secret_file=folder / "reflector.key",
            authenticated_only=True,
            tls_certificate=certificates.certificate,
            tls_key=certificates.private_key,
        )
        await start("the reflector", ReflectorService(reflector))
        with Registry(config.ingest.registry) as registry:
            tokens = _tokens(registry)
            installation = Installation(config, ROLES)
            if Mosquitto.program() is None:
                users = Users(registry, "towpath-ingest", _BROKER_PASSWORD)
                await start("the broker", DemoBroker(ports.broker, users))
            await town.enter_async_context(installation)
            if Mosquitto.program() is not None:
                # Once Towpath has written its users.
                broker = Mosquitto(ports.broker, folder / "broker", certificates)
                await start("the broker", broker)
            server = f"https://localhost:{ports.https}"
            broker_at = Mqtt("localhost", ports.broker, Mosquitto.program() is not None)
            laptops = Fleet(
                fleet(),
                server,
                tokens,
                str(certificates.authority),
                broker_at,
                folder / "laptops",
                every_s=8,
            )
            await town.enter_async_context(laptops)
            await town.enter_async_context(
                _own_agent(folder, server, tokens["town-hall"], certificates)
            )
            say(f"status page: [bold]http://127.0.0.1:{ports.web}[/]")
            say(
                "a committee is streamed: /rooms/chamber; to stop its stream: curl -X "
                f"POST http://127.0.0.1:{ports.stream}/freeze"
            )
            boards = await asyncio.to_thread(
                write_boards, folder, config.grafana, load(config.estate)
            )
            console.print(steps(boards, ports.web, grafana_token), soft_wrap=True)

            async def write_report() -> str:
                return await _report(config, installation, ports.web)

            playing = asyncio.create_task(
                story.play(switches, laptops, installation.store, write_report),
                name="story",
            )
            stopping = asyncio.create_task(stop.wait(), name="stop")
            await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not playing.done():
                playing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await playing
                say("stopped before the end of the demo")
                return 0 if for_s is None and story.happy else 1
            stopping.cancel()
            if for_s is None:
                say("press Ctrl-C to stop")
                await stop.wait()
            else:
                left_s = for_s - (time.monotonic() - began) - 3
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, left_s)):
                        await stop.wait()
    return story.verdict()


async def _report(config: TowpathConfig, running: Installation, web: int) -> str:
    """Writes this month's report. Returns its address on the status page."""
    estate = running.estate.current
    now_ms = wall_ms()
    today = datetime.now(ZoneInfo(config.web.timezone))
    made = await site_report(
        Month(today.year, today.month),
        estate.sites,
        running.store,
        estate,
        config.web.reports or config.state,
        now_ms,
        report_settings(config, ("html", "xlsx", "csv")),
    )
    page = next(path for path in made.files if path.suffix == ".html")
    return f"http://127.0.0.1:{web}/reports/{page.name}"


def _tokens(registry: Registry) -> dict[str, str]:
    now_ms = wall_ms()
    return {
        site: registry.admin.make_token(site, 1000, 1, now_ms)
        for site in ("town-hall", "library", "depot")
    }


def _write_secret(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)


@contextlib.asynccontextmanager
async def _own_agent(
    folder: Path, server: str, token: str, certificates: Certificates
) -> AsyncIterator[None]:
    """Runs this machine's own agent as a separate process."""
    settings = folder / "agent.toml"
    settings.touch(0o600)
    settings.write_text(
        f"""server = "{server}"
enrolment_token = "{token}"
ca_file = "{certificates.authority}"
state_folder = "{folder / "agent"}"
"""
    )
    command: Sequence[str] = (
        sys.executable,
        "-m",
        "probes.agent.agent_cli",
        "--config",
        str(settings),
        "run",
    )
    log = (folder / "agent.log").open("wb")
    process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    log.close()
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await process.wait()
