"""`towpath-agent selftest`: collects diagnostics for support, without personal data.

Reads everything that the agent reads, once, and sends nothing. The bundle holds facts,
results and tool outputs with everything personal redacted (`redaction.py`). Each file
is then searched for the redacted values before it is written.
"""

from __future__ import annotations

import asyncio
import getpass
import io
import json
import platform
import socket
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from probes import platforms
from probes.agent.probe_budget import ProbeConditions
from probes.agent.probe_round import ProbeRounds, RoundSetup
from probes.agent.settings import Settings
from probes.diagnosis.redaction import Redactor
from probes.platforms.commands import run
from probes.platforms.system_facts import Interface, WifiLink
from probes.wire.atomic_file import replace_file
from probes.wire.clock import wall_ms
from probes.wire.failure import Outcome
from probes.wire.policy import Policy
from probes.wire.probe_list import PROBES
from probes.wire.report import Result

_POWERSHELL = ("powershell.exe", "-NoProfile", "-NonInteractive", "-Command")
COMMANDS: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "linux": (
        ("iw-dev", ("iw", "dev")),
        ("ip-addr", ("ip", "-json", "-details", "address")),
        ("ip-route", ("ip", "-json", "route")),
        ("nmcli", ("nmcli", "-t", "-f", "TYPE,STATE", "connection", "show")),
    ),
    "darwin": (
        ("system-profiler", ("system_profiler", "SPAirPortDataType")),
        ("scutil-nc", ("scutil", "--nc", "list")),
        ("scutil-proxy", ("scutil", "--proxy")),
        ("scutil-dns", ("scutil", "--dns")),
        ("ifconfig", ("ifconfig", "-v")),
        ("netstat", ("netstat", "-rn")),
        ("hardware-ports", ("networksetup", "-listallhardwareports")),
    ),
    "win32": (
        ("netsh", ("netsh", "wlan", "show", "interfaces")),
        (
            "get-vpnconnection",
            (*_POWERSHELL, "Get-VpnConnection | ConvertTo-Json -Depth 3"),
        ),
        ("get-netadapter", (*_POWERSHELL, "Get-NetAdapter | ConvertTo-Json -Depth 3")),
    ),
}  # fmt: skip
README = """\
Diagnostics from `towpath-agent selftest`, for support.

about.json       versions of the agent, Python and the operating system
interfaces.json  network interfaces: kind, state, speed; addresses replaced
wifi.json        figures of the Wi-Fi link
results.json     one result of each probe that needs no network
tools/           output of the system's own tools, with words replaced by xxxx

Removed: names of networks, access points, people and machines, and every address. An
address is replaced by the same placeholder throughout, so related lines still match.
Nothing was sent. Look at the files before you pass them on.
"""


class SystemSnapshot(msgspec.Struct, frozen=True):
    """What the agent read from this system, before redaction."""

    interfaces: list[Interface] | Outcome
    wifi: list[WifiLink] | Outcome
    results: Sequence[Result]
    outputs: Mapping[str, bytes | Outcome]


def read_system(settings: Settings, software: str) -> SystemSnapshot:
    """Reads everything that the agent ever reads from this system. Takes seconds."""
    setup = RoundSetup(software=software, now_ms=wall_ms, opt_out=settings.opt_out)
    rounds = ProbeRounds(setup)

    async def measure_local() -> list[Result]:
        results: list[Result] = []
        for probe in PROBES:
            if probe.local:
                results += await rounds.measure(probe.name, Policy(), ProbeConditions())
        return results

    return SystemSnapshot(
        platforms.interfaces(),
        platforms.wifi(b"selftest"),
        asyncio.run(measure_local()),
        {
            tool: run(*command, timeout_s=30)
            for tool, command in COMMANDS.get(sys.platform, COMMANDS["linux"])
        },
    )


def bundle(
    snapshot: SystemSnapshot, software: str, secrets: Iterable[str]
) -> dict[str, bytes]:
    """The files of the bundle by name. Pure.

    `secrets` are names known to belong to this laptop or its user. If a file still
    contains one of them, or any redacted value, a note replaces its content.
    """
    redactor = Redactor()
    trees: dict[str, object] = {
        "about.json": {
            "software": software,
            "python": platform.python_version(),
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
        },
        "interfaces.json": _rows_or_outcome(snapshot.interfaces, redactor.interface),
        "wifi.json": _rows_or_outcome(snapshot.wifi, _wifi_facts),
        "results.json": [
            {
                "probe": result.probe,
                "version": result.version,
                "outcome": result.outcome.value,
                "values": result.values,
            }
            for result in snapshot.results
        ],
    }
    files = {
        name: (json.dumps(tree, indent=1) + "\n").encode()
        for name, tree in trees.items()
    }
    for tool, output in snapshot.outputs.items():
        files[f"tools/{tool}.txt"] = (
            f"({output.value})\n".encode()
            if isinstance(output, Outcome)
            else redactor.output(tool, output)
        )
    hidden = [*secrets, *redactor.redacted]
    return {"README.txt": README.encode()} | {
        name: body
        if not leaks(body, hidden)
        else b"(left out: personal data may remain in this file)\n"
        for name, body in files.items()
    }


def leaks(body: bytes, secrets: Iterable[str]) -> bool:
    """True if `body` contains one of `secrets` as a whole word, in any case. Pure."""
    text = body.decode("utf-8", "replace").lower()
    latin = body.decode("latin-1").lower()
    return any(
        _contains_word(text, secret.lower()) or _contains_word(latin, secret.lower())
        for secret in secrets
        if len(secret) > 3
    )


def _contains_word(text: str, word: str) -> bool:
    at = text.find(word)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(word) :][:1]
        if not (before.isalnum() or after.isalnum()):
            return True
        at = text.find(word, at + 1)
    return False


def own_secrets(settings: Settings) -> list[str]:
    """Names known to belong to this machine or its user."""
    names = [socket.gethostname(), socket.gethostname().split(".")[0], platform.node()]
    try:
        names.append(getpass.getuser())
    except (KeyError, OSError, ImportError):
        names.append(Path.home().name)
    names += [str(Path.home()), settings.server, settings.mqtt.host]
    names += [settings.enrolment_token]
    return [name for name in dict.fromkeys(names) if name]


def write_bundle(path: Path, files: Mapping[str, bytes]) -> None:
    """Writes `files` to `path` as a ZIP that only this user can read. Raises `OSError`
    if it cannot."""
    archive_bytes = io.BytesIO()
    with zipfile.ZipFile(archive_bytes, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            # `ZipInfo` sets a fixed time; the archive has its own.
            archive.writestr(zipfile.ZipInfo(f"towpath-selftest/{name}"), body)
    replace_file(path, archive_bytes.getvalue(), durable=True)


def contents(files: Mapping[str, bytes]) -> list[str]:
    """One line for each file: its name and size. Pure."""
    return [f"  {name:28} {len(body):>8,} bytes" for name, body in files.items()]


def _wifi_facts(link: WifiLink) -> dict[str, object]:
    facts: dict[str, object] = msgspec.to_builtins(link)
    return {
        name: fact for name, fact in facts.items() if name not in {"interface", "cell"}
    }


def _rows_or_outcome(
    facts: list[Interface] | list[WifiLink] | Outcome,
    to_row: Callable[..., dict[str, object]],
) -> object:
    if isinstance(facts, Outcome):
        return facts.value
    return [to_row(fact) for fact in facts]
