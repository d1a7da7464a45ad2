"""The agent's settings: one TOML file, overridden by the environment.

The file is `--config`, or else `~/.config/towpath-agent/agent.toml` (Windows:
`%APPDATA%`), or else `/etc/towpath-agent.toml` (Windows: `%PROGRAMDATA%`). Every key
can be set in the environment too: `TOWPATH_AGENT_SERVER`, `TOWPATH_AGENT_MQTT__HOST`.
The council decides what is measured (`wire/policy.py`). These settings say where the
laptop reports, and its owner can allow less, never more.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from probes.wire.catalogue import did_you_mean
from probes.wire.policy import Clock, MeasuringHours, Weekday
from probes.wire.probe_list import PROBES

PREFIX = "TOWPATH_AGENT_"
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

    `enrolment_token`: given by the council, used once and then removed from the file.
    `enrolment_token_file`: a file that holds it, removed after use. `ca_file`:
    certificate authorities to trust instead of the system's. `opt_out`: probes that do
    not run.
    """

    server: str = ""
    transport: Literal["https", "mqtt"] = "https"
    mqtt: Mqtt = Mqtt()
    enrolment_token: str = ""
    enrolment_token_file: str = ""
    ca_file: str = ""
    state_folder: str = ""
    hours: Hours = Hours()
    opt_out: tuple[str, ...] = ()
    spool: SpoolLimits = SpoolLimits()
    ack_s: _Seconds = 30

    def folder(self) -> Path:
        """Returns the folder of the agent's credential, spool and status."""
        return Path(self.state_folder) if self.state_folder else _default_folder()

    def measuring_hours(self) -> MeasuringHours:
        return MeasuringHours(self.hours.opens, self.hours.closes, self.hours.days)


class BadSettings(Exception):
    """The settings cannot be used; the text is one sentence with what to do."""


def load_settings(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """Returns the settings in `path`, or in one of the usual files, or the defaults.

    Raises `BadSettings` if `path` is given and missing, or if a setting is wrong.
    """
    path = settings_file(path)
    if path is None:
        return decode_settings("", "the settings", environment)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadSettings(f"there is no settings file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path} cannot be read: {error}") from None
    return decode_settings(text, str(path), environment)


def settings_file(path: Path | None) -> Path | None:
    """Returns `path`, or else the first of the usual files that exists."""
    if path is not None:
        return path
    return next((usual for usual in usual_paths() if usual.is_file()), None)


def decode_settings(text: str, where: str, environment: Mapping[str, str]) -> Settings:
    """Returns the settings of TOML `text` and the environment. Pure. Raises
    `BadSettings` with the dotted key, what was expected, and a suggestion if a known
    key is near."""
    try:
        tree: dict[str, Any] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadSettings(f"{where} is not TOML: {error}") from None
    try:
        _check_keys(tree, Settings, ())
    except BadSettings as error:
        raise BadSettings(f"{where}: {error}") from None
    merged = _override(tree, environment)
    try:
        settings = msgspec.convert(merged, Settings)
    except msgspec.ValidationError as error:
        raise BadSettings(f"{where}: {_sentence(str(error))}") from None
    _check_values(settings, where)
    return settings


def usual_paths() -> tuple[Path, ...]:
    """Returns where a settings file may be, in order."""
    if sys.platform == "win32":
        return (
            Path(os.environ.get("APPDATA", "."), "towpath-agent", "agent.toml"),
            Path(os.environ.get("PROGRAMDATA", "."), "towpath-agent", "agent.toml"),
        )
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return (
        Path(home).expanduser() / "towpath-agent" / "agent.toml",
        Path("/etc/towpath-agent.toml"),
    )


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


def _check_keys(tree: dict[str, Any], part: type, path: tuple[str, ...]) -> None:
    fields = {field.name: field for field in msgspec.structs.fields(part)}
    for key, value in tree.items():
        dotted = ".".join((*path, key))
        if key not in fields:
            hint = did_you_mean(key, fields)
            raise BadSettings(f"no setting is called {dotted!r}{hint}")
        kind = fields[key].type
        if _is_part(kind):
            if not isinstance(value, dict):
                raise BadSettings(f"{dotted} is a section, write [{dotted}]")
            _check_keys(value, kind, (*path, key))


def _override(tree: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    merged = {k: dict(v) if isinstance(v, dict) else v for k, v in tree.items()}
    for name in sorted(environment):
        if not name.startswith(PREFIX):
            continue
        path = name.removeprefix(PREFIX).lower().split("__")
        kind, at = Settings, merged
        for index, key in enumerate(path):
            fields = {field.name: field for field in msgspec.structs.fields(kind)}
            last = index == len(path) - 1
            if key not in fields or _is_part(fields[key].type) == last:
                known = [PREFIX + key.upper() for key in _dotted()]
                hint = did_you_mean(name, known)
                raise BadSettings(f"the environment's {name} sets nothing{hint}")
            if last:
                at[key] = _from_text(fields[key].type, environment[name], name)
            else:
                kind = fields[key].type
                at = at.setdefault(key, {})
    return merged


def _dotted(part: type = Settings, before: str = "") -> list[str]:
    keys: list[str] = []
    for field in msgspec.structs.fields(part):
        if _is_part(field.type):
            keys += _dotted(field.type, f"{before}{field.name}__")
        else:
            keys.append(before + field.name)
    return keys


def _is_part(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, _Part)


def _from_text(kind: Any, text: str, name: str) -> Any:
    """Returns `text` of the environment as `kind`; lists are separated by commas."""
    if kind is str or "Literal" in str(kind):
        return text
    value: Any = text
    if "tuple" in str(kind):
        value = [item.strip() for item in text.split(",") if item.strip()]
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadSettings(f"the environment's {name}: {error}, got {text!r}") from None


def _sentence(error: str) -> str:
    """Returns msgspec's `Expected … - at `$.a.b`` as `a.b: expected …`."""
    match = re.fullmatch(r"(?s)(.*) - at `\$\.?(.*)`", error)
    if match is None:
        return error
    text, path = match.groups()
    return f"{path}: {text[:1].lower()}{text[1:]}" if path else text


def _check_values(settings: Settings, where: str) -> None:
    for probe in settings.opt_out:
        if probe not in _PROBE_NAMES:
            raise BadSettings(
                f"{where}: opt_out: no probe is called {probe!r}"
                f"{did_you_mean(probe, _PROBE_NAMES)}"
                f" (there are: {', '.join(_PROBE_NAMES)})"
            )
    if settings.server and not re.match(r"https?://[^\s/]+", settings.server):
        raise BadSettings(
            f"{where}: server is {settings.server!r}, expected an address such as "
            "https://towpath.example.gov.uk"
        )
    if settings.server.startswith("http://") and not _is_local(settings.server):
        raise BadSettings(
            f"{where}: server {settings.server!r} would send the laptop's credential "
            "unprotected; expected https://"
        )
    if settings.transport == "mqtt" and not settings.mqtt.host:
        raise BadSettings(f"{where}: mqtt.host is needed if transport is 'mqtt'")
    if settings.ca_file and not Path(settings.ca_file).is_file():
        raise BadSettings(f"{where}: ca_file: there is no file {settings.ca_file}")


def _is_local(url: str) -> bool:
    host = re.sub(r"^http://(\[[^\]]*\]|[^/:]*).*$", r"\1", url)
    return host in {"127.0.0.1", "[::1]", "localhost"}
