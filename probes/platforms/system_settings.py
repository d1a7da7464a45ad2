"""Reads the agent's settings that a system keeps: files of a folder (Linux), managed
preferences (macOS), the registry (Windows)."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

from probes.platforms.system_facts import ManagedSettings
from probes.platforms.text_files import decode_text

POLICY_KEY = r"Software\Policies\Towpath\Agent"
INSTALLER_KEY = r"Software\Towpath\Agent"
_DEPTH = 2


def read_toml_folder(folder: Path, *, policy: bool = True) -> list[ManagedSettings]:
    """The `*.toml` files of `folder` by name, as the council's policy or as what the
    package brings. What cannot be read is named."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except FileNotFoundError:
        return []
    except OSError as error:
        trouble = f"{folder} cannot be read: {error}"
        return [ManagedSettings(str(folder), {}, policy, trouble)]
    found = []
    for path in paths:
        values: dict[str, Any] = {}
        trouble = ""
        try:
            values = tomllib.loads(decode_text(path.read_bytes()))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            trouble = f"{path} is not TOML: {error}"
        except (OSError, ValueError) as error:
            trouble = f"{path} cannot be read: {error}"
        found.append(ManagedSettings(str(path), values, policy, trouble))
    return found


def read_preferences(path: Path) -> list[ManagedSettings]:
    """A property list of managed preferences, if there is one."""
    # Only macOS has them.
    import plistlib
    from xml.parsers.expat import ExpatError

    try:
        with path.open("rb") as file:
            values = plistlib.load(file)
    except FileNotFoundError:
        return []
    except (
        # What the library raises for files that are no property lists, or damaged ones.
        OSError,
        ValueError,
        ExpatError,
        plistlib.InvalidFileException,
        LookupError,
        AttributeError,
        TypeError,
        OverflowError,
        MemoryError,
        RecursionError,
    ) as error:
        why = str(error) or type(error).__name__
        trouble = f"{path} cannot be read: {why}"
        return [ManagedSettings(str(path), {}, True, trouble)]
    if not isinstance(values, dict) or not all(
        isinstance(name, str) for name in values
    ):
        trouble = f"{path} holds no dictionary with names"
        return [ManagedSettings(str(path), {}, True, trouble)]
    # What macOS adds for itself is no setting.
    own = {name: v for name, v in values.items() if not name.startswith("Payload")}
    return [ManagedSettings(str(path), own, True)]


if sys.platform == "win32":
    import winreg

    def read_registry() -> list[ManagedSettings]:
        """What the installer was given, then the council's policy."""
        found = []
        for key, policy in ((INSTALLER_KEY, False), (POLICY_KEY, True)):
            where, values, trouble = rf"HKLM\{key}", {}, ""
            try:
                values = _tree(key)
            except OSError as error:
                trouble = f"{where} cannot be read: {error}"
            if values or trouble:
                found.append(ManagedSettings(where, values, policy, trouble))
        return found

    def _tree(key: str, depth: int = 0) -> dict[str, Any]:
        """Values by name in small letters; the keys below are sections. Raises
        `OSError` if the key is there and cannot be read."""
        access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
        tree: dict[str, Any] = {}
        try:
            opened = winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key, 0, access)
        except FileNotFoundError:
            return tree
        with opened:
            keys, values, _ = winreg.QueryInfoKey(opened)
            for n in range(values):
                name, value, kind = winreg.EnumValue(opened, n)
                if kind == winreg.REG_EXPAND_SZ and isinstance(value, str):
                    value = winreg.ExpandEnvironmentStrings(value)
                if name:
                    tree[name.lower()] = value
            below = [winreg.EnumKey(opened, n) for n in range(keys)]
        # A key below a section is no setting, and is named as such.
        if depth < _DEPTH:
            tree |= {name.lower(): _tree(rf"{key}\{name}", depth + 1) for name in below}
        return tree
