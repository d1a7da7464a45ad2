"""The agent's settings, and where they and its state are.

The council decides what is measured (`wire/policy.py`). These settings say where the
laptop reports, and its owner can allow less, never more. `settings_layers` reads them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from probes.platforms.file_owner import read_if_trusted
from probes.wire.catalogue import did_you_mean
from probes.wire.policy import Clock, MeasuringHours, Weekday
from probes.wire.probe_list import PROBES
from probes.wire.stop_order import KEY

PREFIX = "TOWPATH_AGENT_"
# Where a settings file may be, in order, as people write it.
FILES = (
    (r"%APPDATA%\towpath-agent\agent.toml", r"%PROGRAMDATA%\towpath-agent\agent.toml")
    if sys.platform == "win32"
    else ("~/.config/towpath-agent/agent.toml", "/etc/towpath-agent.toml")
)
# In the shared folder of a service: what people see, and what they ask.
SHOWN, REQUESTS = "shown", "requests"
_PROBE_NAMES = tuple(probe.name for probe in PROBES)

_Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
_Seconds = Annotated[int, msgspec.Meta(ge=1, le=86_400)]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Mqtt(_Part, frozen=True):
    """The council's broker, if `transport` is mqtt."""

    host: str = ""
    port: _Port = 8883
    tls: bool = True


class SpoolLimits(_Part, frozen=True):
    """How much may wait for the server. The oldest is dropped first, and counted."""

    max_bytes: Annotated[int, msgspec.Meta(ge=100_000)] = 50_000_000
    max_days: Annotated[int, msgspec.Meta(ge=1, le=366)] = 28


class Hours(_Part, frozen=True):
    """When this laptop may be measured. The council's own hours apply as well."""

    opens: Clock = "00:00"
    closes: Clock = "24:00"
    days: tuple[Weekday, ...] = (0, 1, 2, 3, 4, 5, 6)


class Settings(_Part, frozen=True):
    """`server`: the council's address, such as https://towpath.example.gov.uk.

    `ring`: the group of laptops that this one was installed for, such as pilot.
    `enrolment_token`: given by the council, used once and then removed from the file.
    `enrolment_token_file`: a file that holds it, removed after use. `ca_file`:
    certificate authorities to trust instead of the system's. `shared_folder`: of an
    agent that runs as a service of the system, what people at the laptop see and ask.
    `opt_out`: probes that do not run. `stop_key`: the public key of the council's stop
    orders, instead of the one that the server named when the laptop was enrolled.
    """

    server: str = ""
    transport: Literal["https", "mqtt"] = "https"
    mqtt: Mqtt = Mqtt()
    ring: Annotated[str, msgspec.Meta(max_length=30)] = ""
    enrolment_token: str = ""
    enrolment_token_file: str = ""
    ca_file: str = ""
    state_folder: str = ""
    shared_folder: str = ""
    hours: Hours = Hours()
    opt_out: tuple[str, ...] = ()
    spool: SpoolLimits = SpoolLimits()
    ack_s: _Seconds = 30
    stop_key: str = ""

    def folder(self) -> Path:
        """Returns the folder of the agent's credential, spool and status."""
        return Path(self.state_folder) if self.state_folder else _default_folder()

    def shown_folder(self) -> Path:
        """Returns the folder of what a person at the laptop may see."""
        shared = self.shared_folder
        return Path(shared, SHOWN) if shared else self.folder()

    def measuring_hours(self) -> MeasuringHours:
        return MeasuringHours(self.hours.opens, self.hours.closes, self.hours.days)


class BadSettings(Exception):
    """The settings cannot be used. `problems` has a sentence for each that is wrong:
    where it is, its name, and what was expected."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def settings_file(path: Path | None) -> Path | None:
    """Returns `path`, or else the first of the usual files that exists and counts."""
    if path is not None:
        return path
    usual = (usual for usual in usual_paths() if usual.is_file())
    return next((usual for usual in usual if not is_of_others(usual)), None)


def is_of_others(path: Path) -> bool:
    """Whether another user may have made one of the usual files."""
    try:
        return read_if_trusted(path) is None
    except OSError:
        # It is not known, and is said to be unreadable when it is read.
        return False


def ignored_files() -> list[str]:
    """A sentence for each of the usual files that does not count."""
    return [
        f"{usual} is not used, because it belongs neither to an administrator nor to "
        "this user: everybody may make files there"
        for usual in usual_paths()
        if usual.is_file() and is_of_others(usual)
    ]


def usual_paths() -> tuple[Path, ...]:
    """Returns where a settings file may be, in order."""
    return tuple(_in_full(file) for file in FILES)


def _in_full(file: str) -> Path:
    """One of `FILES`, with the folders of this user."""
    if sys.platform == "win32":
        variable, _, inside = file.removeprefix("%").partition("%")
        return Path(os.environ.get(variable, "."), inside.lstrip("\\"))
    usual, own = "~/.config/", os.environ.get("XDG_CONFIG_HOME")
    if own and file.startswith(usual):
        return Path(own, file.removeprefix(usual)).expanduser()
    return Path(file).expanduser()


def _default_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "."), "towpath-agent")
    if sys.platform == "darwin":
        return Path("~/Library/Application Support/towpath-agent").expanduser()
    # systemd gives a service its own folder by this name (StateDirectory=).
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "towpath-agent"


def is_section(kind: Any) -> bool:
    """True if the setting of this type is a section with settings of its own."""
    return isinstance(kind, type) and issubclass(kind, _Part)


def wrong_values(settings: Settings, origins: Mapping[str, str]) -> list[str]:
    """A sentence for each setting that says what cannot be used; `origins` has the name
    of each setting's source."""
    return [f"{origins[dotted]}: {wrong}" for dotted, wrong in _wrong_values(settings)]


def _wrong_values(settings: Settings) -> Iterator[tuple[str, str]]:
    """The key of each setting that cannot be used, and a sentence."""
    for probe in settings.opt_out:
        if probe not in _PROBE_NAMES:
            yield (
                "opt_out",
                f"opt_out: no probe is called {probe!r}"
                f"{did_you_mean(probe, _PROBE_NAMES)}"
                f" (there are: {', '.join(_PROBE_NAMES)})",
            )
    server = settings.server
    if server and not re.match(r"https?://[^\s/]+", server):
        yield (
            "server",
            f"server is {server!r}, expected an address such as "
            "https://towpath.example.gov.uk",
        )
    if server.startswith("http://") and not _is_local(server):
        yield (
            "server",
            f"server {server!r} would send the laptop's credential unprotected; "
            "expected https://",
        )
    if settings.transport == "mqtt" and not settings.mqtt.host:
        yield "transport", "mqtt.host is needed if transport is 'mqtt'"
    if settings.stop_key and not KEY.fullmatch(settings.stop_key):
        yield (
            "stop_key",
            "stop_key: expected 64 digits and letters a to f, as towpath fleet "
            "stop-key prints them",
        )
    if settings.ca_file and not Path(settings.ca_file).is_file():
        yield "ca_file", f"ca_file: there is no file {settings.ca_file}"


def _is_local(url: str) -> bool:
    host = re.sub(r"^http://(\[[^\]]*\]|[^/:]*).*$", r"\1", url)
    return host in {"127.0.0.1", "[::1]", "localhost"}
