"""Where the agent's settings come from, the strongest first:

1. the council's policy: `HKLM\\Software\\Policies\\Towpath\\Agent` (Windows),
   `/Library/Managed Preferences/uk.towpath.agent.plist` (macOS),
   `/etc/towpath-agent.d/*.toml` (Linux; the last file by name first)
2. the environment: `TOWPATH_AGENT_SERVER`, `TOWPATH_AGENT_MQTT__HOST`
3. one file: `--config`, or the first of the usual ones (`settings.usual_paths`)
4. what the installer was given: `HKLM\\Software\\Towpath\\Agent` (Windows)
5. the defaults

Only `opt_out` is added up: what a person does not allow stays so.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from probes import platforms
from probes.agent.settings import (
    PREFIX,
    BadSettings,
    Settings,
    check_values,
    is_section,
    settings_file,
)
from probes.platforms.system_facts import ManagedSettings
from probes.wire.catalogue import did_you_mean

DEFAULT = "default"
_SECRET = {"enrolment_token"}


class LoadedSettings(msgspec.Struct, frozen=True):
    """The settings in force, and where each of them comes from, by its dotted key."""

    settings: Settings
    origins: dict[str, str]


class SettingRow(msgspec.Struct, frozen=True):
    """One setting as it is shown."""

    name: str
    value: str
    source: str


def setting_rows(loaded: LoadedSettings) -> list[SettingRow]:
    """Every setting with its value, as TOML writes it, and its source. A token is only
    said to be there. Pure."""
    tree = msgspec.to_builtins(loaded.settings)
    rows = []
    for dotted in setting_types():
        section, _, key = dotted.rpartition(".")
        value = (tree[section] if section else tree)[key]
        shown = msgspec.json.encode(value).decode()
        if dotted in _SECRET and value:
            shown = "(not shown)"
        rows.append(SettingRow(dotted, shown, loaded.origins[dotted]))
    return rows


def load_settings(
    path: Path | None,
    environment: Mapping[str, str],
    managed: Sequence[ManagedSettings] | None = None,
) -> LoadedSettings:
    """Returns what all sources together say. `managed` are the system's own, read from
    it if not given. Raises `BadSettings` if `path` is given and missing, or if a
    setting is wrong."""
    given = platforms.managed_settings() if managed is None else managed
    path = settings_file(path)
    text, where = "", "the settings"
    if path is not None:
        where = str(path)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise BadSettings(f"there is no settings file {path}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise BadSettings(f"{path} cannot be read: {error}") from None
    return merge_settings(text, where, environment, given)


def log_folder(managed: Sequence[ManagedSettings] | None = None) -> Path:
    """Returns the state folder, for the log, if the settings cannot be used: the
    installer's or the usual one."""
    given = platforms.managed_settings() if managed is None else managed
    named = [system.values.get("state_folder") for system in given if not system.policy]
    folder = next((name for name in named if isinstance(name, str) and name), "")
    return Settings(state_folder=folder).folder()


def decode_settings(text: str, where: str, environment: Mapping[str, str]) -> Settings:
    """Returns the settings of TOML `text` and the environment. Pure. Raises
    `BadSettings` with the dotted key, what was expected, and a suggestion if a known
    key is near."""
    return merge_settings(text, where, environment, ()).settings


def merge_settings(
    text: str,
    where: str,
    environment: Mapping[str, str],
    managed: Sequence[ManagedSettings],
) -> LoadedSettings:
    """Returns TOML `text`, the environment and the system's own settings together, each
    value with the name of its source. Pure. Raises `BadSettings`."""
    for system in managed:
        if system.trouble:
            raise BadSettings(system.trouble)
    installed = [_leaves(m.values, m.where) for m in managed if not m.policy]
    policies = [_leaves(m.values, m.where) for m in managed if m.policy]
    layers = [*installed, _from_toml(text, where), _from_environment(environment)]
    merged: dict[str, Any] = {}
    origins = dict.fromkeys(setting_types(), DEFAULT)
    for layer in [*layers, *policies]:
        for dotted, (value, origin) in layer.items():
            before = merged.get(dotted)
            if dotted == "opt_out" and isinstance(before, list | tuple):
                if isinstance(value, list | tuple):
                    value = list(dict.fromkeys([*before, *value]))
                origin = f"{origins[dotted]}, {origin}"
            merged[dotted], origins[dotted] = value, origin
    tree: dict[str, Any] = {}
    for dotted, value in merged.items():
        section, _, key = dotted.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[key] = value
    try:
        settings = msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        dotted, sentence = _located(str(error))
        origin = origins.get(dotted, where)
        raise BadSettings(f"{origin}: {sentence}") from None
    check_values(settings, origins)
    return LoadedSettings(settings, origins)


_Layer = dict[str, tuple[Any, str]]


def _from_toml(text: str, where: str) -> _Layer:
    try:
        tree: dict[str, Any] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadSettings(f"{where} is not TOML: {error}") from None
    return _leaves(tree, where, exact=True)


def _leaves(tree: Mapping[str, Any], where: str, *, exact: bool = False) -> _Layer:
    """The values of `tree` by dotted key. What a system keeps as text or as a number is
    turned into what the setting is, unless `exact`."""
    kinds = setting_types()
    sections = {dotted.partition(".")[0] for dotted in kinds if "." in dotted}
    found: _Layer = {}
    for key, value in tree.items():
        if key in sections:
            if not isinstance(value, Mapping):
                raise BadSettings(f"{where}: {key} is a section, write [{key}]")
            start = f"{key}."
            inside = {d.removeprefix(start) for d in kinds if d.startswith(start)}
            for name, part in value.items():
                if name not in inside:
                    raise _unknown(where, f"{key}.{name}", did_you_mean(name, inside))
                found[f"{key}.{name}"] = part, where
        elif key in kinds:
            found[key] = value, where
        else:
            known = [dotted for dotted in kinds if "." not in dotted]
            raise _unknown(where, key, did_you_mean(key, [*known, *sections]))
    if exact:
        return found
    return {
        dotted: (_converted(kinds[dotted], value, f"{where}: {dotted}"), where)
        for dotted, (value, where) in found.items()
    }


def _unknown(where: str, dotted: str, hint: str) -> BadSettings:
    return BadSettings(f"{where}: no setting is called {dotted!r}{hint}")


def _from_environment(environment: Mapping[str, str]) -> _Layer:
    kinds = setting_types()
    by_name = {PREFIX + dotted.upper().replace(".", "__"): dotted for dotted in kinds}
    found: _Layer = {}
    for name in sorted(environment):
        if name.startswith(PREFIX):
            dotted = by_name.get(name)
            if dotted is None:
                hint = did_you_mean(name, by_name)
                raise BadSettings(f"the environment's {name} sets nothing{hint}")
            where = f"the environment's {name}"
            found[dotted] = _converted(kinds[dotted], environment[name], where), where
    return found


def setting_types(part: type = Settings, before: str = "") -> dict[str, Any]:
    """The type of each setting by its dotted key."""
    kinds: dict[str, Any] = {}
    for field in msgspec.structs.fields(part):
        if is_section(field.type):
            kinds |= setting_types(field.type, f"{field.name}.")
        else:
            kinds[before + field.name] = field.type
    return kinds


def _converted(kind: Any, value: Any, where: str) -> Any:
    """Returns `value`, text or a number, as `kind`; lists are separated by commas."""
    if isinstance(value, str) and (kind is str or "Literal" in str(kind)):
        return value
    if isinstance(value, str) and "tuple" in str(kind):
        value = [item.strip() for item in value.split(",") if item.strip()]
    try:
        return msgspec.to_builtins(msgspec.convert(value, kind, strict=False))
    except msgspec.ValidationError as error:
        raise BadSettings(f"{where}: {error}, got {value!r}") from None


def _located(error: str) -> tuple[str, str]:
    """msgspec's `Expected … - at `$.a.b`` as the dotted key, and `a.b: expected …`."""
    match = re.fullmatch(r"(?s)(.*) - at `\$\.?(.*)`", error)
    if match is None:
        return "", error
    text, path = match.groups()
    sentence = f"{path}: {text[:1].lower()}{text[1:]}" if path else text
    return re.sub(r"\[.*", "", path), sentence
