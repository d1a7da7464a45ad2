"""Where the agent's settings come from, the strongest first:

1. the council's policy: `HKLM\\Software\\Policies\\Towpath\\Agent` (Windows),
   `/Library/Managed Preferences/uk.towpath.agent.plist` (macOS),
   `/etc/towpath-agent.d/*.toml` (Linux; the last file by name first)
2. the environment: `TOWPATH_AGENT_SERVER`, `TOWPATH_AGENT_MQTT__HOST`
3. one file: `--config`, or the first of the usual ones (`settings.usual_paths`)
4. what the installer was given: `HKLM\\Software\\Towpath\\Agent` (Windows),
   `/usr/lib/towpath-agent.d/*.toml` (a package for Linux)
5. the defaults

Only `opt_out` is added up: what a person does not allow stays so.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from probes import platforms
from probes.agent.setting_words import wrong_value
from probes.agent.settings import (
    PREFIX,
    BadSettings,
    Settings,
    is_section,
    settings_file,
    wrong_values,
)
from probes.platforms.file_owner import read_if_trusted
from probes.platforms.system_facts import ManagedSettings
from probes.platforms.text_files import decode_text
from probes.wire.catalogue import did_you_mean
from probes.wire.held_files import read_held

DEFAULT = "default"
SECRET = {"enrolment_token"}


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
        if dotted in SECRET and value:
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
    read = read_held if path is not None else read_if_trusted
    path = settings_file(path)
    text, where = "", "the settings"
    if path is not None:
        where = str(path)
        try:
            text = decode_text(read(path) or b"")
        except FileNotFoundError:
            raise BadSettings(f"there is no settings file {path}") from None
        except (OSError, ValueError) as error:
            raise BadSettings(f"{path} cannot be read: {error}") from None
    return merge_settings(text, where, environment, given)


def log_folder(managed: Sequence[ManagedSettings] | None = None) -> Path:
    """Returns the state folder, for the log, if the settings cannot be used: the
    installer's or the usual one."""
    given = platforms.managed_settings() if managed is None else managed
    named = [system.values.get("state_folder") for system in given if not system.policy]
    folder = next((name for name in named if isinstance(name, str) and name), "")
    return Settings(state_folder=folder).folder()


def merge_settings(
    text: str,
    where: str,
    environment: Mapping[str, str],
    managed: Sequence[ManagedSettings],
) -> LoadedSettings:
    """Returns TOML `text`, the environment and the system's own settings together, each
    value with the name of its source. Pure. Raises `BadSettings` with all that is
    wrong, each with its dotted key, what was expected, and a suggestion if a known key
    is near: what cannot be understood might allow less than what would hold instead."""
    reader = _LayerReader()
    reader.problems += [system.trouble for system in managed if system.trouble]
    installed = [reader.from_tree(m.values, m.where) for m in managed if not m.policy]
    policies = [reader.from_tree(m.values, m.where) for m in managed if m.policy]
    own = [reader.from_toml(text, where), reader.from_environment(environment)]
    merged: dict[str, Any] = {}
    origins = dict.fromkeys(setting_types(), DEFAULT)
    for layer in [*installed, *own, *policies]:
        for dotted, (value, origin) in layer.items():
            before = merged.get(dotted)
            if dotted == "opt_out" and before is not None:
                value = list(dict.fromkeys([*before, *value]))
                origin = f"{origins[dotted]}, {origin}"
            merged[dotted], origins[dotted] = value, origin
    tree: dict[str, Any] = {}
    for dotted, value in merged.items():
        section, _, key = dotted.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[key] = value
    # Each value has been checked by itself.
    settings = msgspec.convert(tree, Settings)
    problems = [*reader.problems, *wrong_values(settings, origins)]
    if problems:
        raise BadSettings(*dict.fromkeys(problems))
    return LoadedSettings(settings, origins)


_Layer = dict[str, tuple[Any, str]]


class _LayerReader:
    """Reads the values of each source, and collects what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._kinds = setting_types()
        self._sections = {d.partition(".")[0] for d in self._kinds if "." in d}

    def from_toml(self, text: str, where: str) -> _Layer:
        try:
            tree: dict[str, Any] = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            self.problems.append(f"{where} is not TOML: {error}")
            return {}
        return self.from_tree(tree, where, exact=True)

    def from_tree(
        self, tree: Mapping[str, Any], where: str, *, exact: bool = False
    ) -> _Layer:
        """The values of `tree` by dotted key. What a system keeps as text or as a
        number is turned into what the setting is, unless `exact`."""
        layer: _Layer = {}
        for key, value in tree.items():
            if key not in self._sections:
                known = [d for d in self._kinds if "." not in d]
                self._put(layer, key, value, where, (*known, *self._sections), exact)
            elif not isinstance(value, Mapping):
                how = f"write [{key}]" if exact else "its settings are below it"
                self.problems.append(f"{where}: {key} is a section: {how}")
            else:
                start = f"{key}."
                inside = [d for d in self._kinds if d.startswith(start)]
                names = [d.removeprefix(start) for d in inside]
                for name, part in value.items():
                    self._put(layer, f"{key}.{name}", part, where, names, exact)
        return layer

    def from_environment(self, environment: Mapping[str, str]) -> _Layer:
        by_name = {PREFIX + d.upper().replace(".", "__"): d for d in self._kinds}
        layer: _Layer = {}
        for name in sorted(environment):
            if not name.startswith(PREFIX):
                continue
            where, dotted = f"the environment's {name}", by_name.get(name)
            if dotted is None:
                hint = did_you_mean(name, by_name)
                self.problems.append(f"{where} sets nothing{hint}")
            else:
                self._convert(layer, dotted, environment[name], where, where)
        return layer

    def _put(
        self,
        layer: _Layer,
        dotted: str,
        value: Any,
        where: str,
        known: Sequence[str],
        exact: bool,
    ) -> None:
        if dotted in self._kinds:
            self._convert(layer, dotted, value, where, f"{where}: {dotted}", exact)
            return
        hint = did_you_mean(dotted.rpartition(".")[2], known)
        self.problems.append(f"{where}: no setting is called {dotted!r}{hint}")

    def _convert(
        self,
        layer: _Layer,
        dotted: str,
        value: Any,
        where: str,
        named: str,
        exact: bool = False,
    ) -> None:
        """Adds `value` as what the setting is; lists in a text are separated by
        commas."""
        kind, given = self._kinds[dotted], value
        listed = "tuple" in str(kind)
        if isinstance(value, str) and listed and not exact:
            value = [item.strip() for item in value.split(",") if item.strip()]
        # A text that looks like a number stays a text.
        text = isinstance(value, str) and (kind is str or "Literal" in str(kind))
        try:
            converted = msgspec.convert(value, kind, strict=exact or text)
        except (msgspec.ValidationError, RecursionError, OverflowError):
            wrong = wrong_value(kind, given, secret=dotted in SECRET)
            self.problems.append(f"{named}: {wrong}")
        else:
            layer[dotted] = msgspec.to_builtins(converted), where


def setting_types(part: type = Settings, before: str = "") -> dict[str, Any]:
    """The type of each setting by its dotted key."""
    kinds: dict[str, Any] = {}
    for field in msgspec.structs.fields(part):
        if is_section(field.type):
            kinds |= setting_types(field.type, f"{field.name}.")
        else:
            kinds[before + field.name] = field.type
    return kinds
