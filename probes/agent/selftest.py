"""`towpath-agent selftest`: what this system tells the agent, for whoever mends it.

Everything is looked at once; nothing is sent. The bundle holds facts, results and the
tools' outputs with everything personal taken out (`redaction.py`), and what was
taken out is looked for once more in what is to be written.
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
from probes.agent.probe_round import Round
from probes.agent.settings import Settings
from probes.diagnosis.redaction import Reducer
from probes.platforms.commands import run
from probes.platforms.system_facts import Interface, WifiLink
from probes.wire.atomic_file import replace_file
from probes.wire.clock import wall_ms
from probes.wire.failure import Outcome
from probes.wire.policy import Policy
from probes.wire.report import Result

_LOCAL = ("vpn", "wifi", "laptop", "agent")
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
What `towpath-agent selftest` found on a laptop, for whoever mends the agent.

about.json       version of the agent, of Python and of the system
interfaces.json  network interfaces: kind, state, speed; addresses replaced by others
wifi.json        the Wi-Fi link's figures
results.json     one result of each probe that needs no network
tools/           outputs of the system's own tools, words replaced by xxxx

Taken out: names of networks, access points, people and machines; every address. The
same address is replaced by the same other one, so that what belongs together does.
Nothing was sent; look at the files before you pass them on.
"""


class Look(msgspec.Struct, frozen=True):
    """What was looked at, before anything is taken out."""

    interfaces: list[Interface] | Outcome
    wifi: list[WifiLink] | Outcome
    results: Sequence[Result]
    outputs: Mapping[str, bytes | Outcome]


def look(settings: Settings, software: str) -> Look:
    """Asks this system everything the agent ever asks it. Takes seconds."""
    round = Round(software, wall_ms, opt_out=settings.opt_out)

    async def measured() -> list[Result]:
        found: list[Result] = []
        for probe in _LOCAL:
            found += await round.measure(probe, Policy(), ProbeConditions())
        return found

    return Look(
        platforms.interfaces(),
        platforms.wifi(b"selftest"),
        asyncio.run(measured()),
        {
            tool: run(*command, timeout_s=30)
            for tool, command in COMMANDS.get(sys.platform, COMMANDS["linux"])
        },
    )


def bundle(seen: Look, software: str, secrets: Iterable[str]) -> dict[str, bytes]:
    """The files of the bundle by name. Pure.

    `secrets`: what is known to be this laptop's or its user's. A file in which one of
    them, or anything that was taken out, is still found is left out, and says so.
    """
    reducer = Reducer()
    made: dict[str, object] = {
        "about.json": {
            "software": software,
            "python": platform.python_version(),
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
        },
        "interfaces.json": _or_reason(
            seen.interfaces, lambda each: reducer.interface(each)
        ),
        "wifi.json": _or_reason(seen.wifi, _wifi_facts),
        "results.json": [
            {
                "probe": each.probe,
                "version": each.version,
                "outcome": each.outcome.value,
                "values": each.values,
            }
            for each in seen.results
        ],
    }
    files = {
        name: (json.dumps(tree, indent=1) + "\n").encode()
        for name, tree in made.items()
    }
    for tool, raw in seen.outputs.items():
        files[f"tools/{tool}.txt"] = (
            f"({raw.value})\n".encode()
            if isinstance(raw, Outcome)
            else reducer.output(tool, raw)
        )
    hidden = [*secrets, *reducer.taken_out]
    return {"README.txt": README.encode()} | {
        name: body
        if not leaks(body, hidden)
        else b"(left out: something personal could not be taken out for sure)\n"
        for name, body in files.items()
    }


def leaks(body: bytes, secrets: Iterable[str]) -> bool:
    """Whether one of `secrets` is in `body` as a word of its own, in any case. Pure."""
    text = body.decode("utf-8", "replace").lower()
    latin = body.decode("latin-1").lower()
    return any(
        _stands_in(each.lower(), text) or _stands_in(each.lower(), latin)
        for each in secrets
        if len(each) > 3
    )


def _stands_in(secret: str, text: str) -> bool:
    at = text.find(secret)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(secret) :][:1]
        if not (before.isalnum() or after.isalnum()):
            return True
        at = text.find(secret, at + 1)
    return False


def own_secrets(settings: Settings) -> list[str]:
    """What is known to be this machine's and its user's."""
    found = [socket.gethostname(), socket.gethostname().split(".")[0], platform.node()]
    try:
        found.append(getpass.getuser())
    except (KeyError, OSError, ImportError):
        found.append(Path.home().name)
    found += [str(Path.home()), settings.server, settings.mqtt.host]
    found += [settings.enrolment_token]
    return [each for each in dict.fromkeys(found) if each]


def write_bundle(path: Path, files: Mapping[str, bytes]) -> None:
    """`files` as a ZIP at `path`, readable by this user alone. `OSError`."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            # No time of its own: when it was made is the file's business.
            archive.writestr(zipfile.ZipInfo(f"towpath-selftest/{name}"), body)
    replace_file(path, packed.getvalue(), durable=True)


def contents(files: Mapping[str, bytes]) -> list[str]:
    """What is inside, a line each. Pure."""
    return [f"  {name:28} {len(body):>8,} bytes" for name, body in files.items()]


def _wifi_facts(link: WifiLink) -> dict[str, object]:
    facts: dict[str, object] = msgspec.to_builtins(link)
    return {k: v for k, v in facts.items() if k not in {"interface", "cell"}}


def _or_reason(
    found: list[Interface] | list[WifiLink] | Outcome,
    reduce: Callable[..., dict[str, object]],
) -> object:
    return found.value if isinstance(found, Outcome) else [reduce(e) for e in found]
