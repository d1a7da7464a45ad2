"""Reads the agent's settings that a system keeps: files of a folder (Linux), managed
preferences (macOS), the registry (Windows)."""

from __future__ import annotations

import plistlib
import sys
import tomllib
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from probes.platforms.system_facts import ManagedSettings

POLICY_KEY = r"Software\Policies\Towpath\Agent"
INSTALLER_KEY = r"Software\Towpath\Agent"


def read_toml_folder(folder: Path) -> list[ManagedSettings]:
    """The `*.toml` files of `folder` by name. A file that cannot be read is named."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        values: dict[str, Any] = {}
        trouble = ""
        try:
            values = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            trouble = f"{path} cannot be read: {error}"
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            trouble = f"{path} is not TOML: {error}"
        found.append(ManagedSettings(str(path), values, True, trouble))
    return found


def read_preferences(path: Path) -> list[ManagedSettings]:
    """A property list of managed preferences, if there is one."""
    try:
        with path.open("rb") as file:
            values = plistlib.load(file)
    except FileNotFoundError:
        return []
    except (OSError, ValueError, ExpatError, plistlib.InvalidFileException) as error:
        trouble = f"{path} cannot be read: {error}"
        return [ManagedSettings(str(path), {}, True, trouble)]
    if not isinstance(values, dict):
        trouble = f"{path} holds no dictionary"
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
            values = _tree(key)
            if values:
                found.append(ManagedSettings(rf"HKLM\{key}", values, policy))
        return found

    def _tree(key: str, depth: int = 0) -> dict[str, Any]:
        """Values by name in small letters; the keys below are sections."""
        access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
        tree: dict[str, Any] = {}
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key, 0, access) as opened:
                keys, values, _ = winreg.QueryInfoKey(opened)
                for n in range(values):
                    name, value, _ = winreg.EnumValue(opened, n)
                    if name:
                        tree[name.lower()] = value
                below = [winreg.EnumKey(opened, n) for n in range(keys)]
        except OSError:
            return tree
        if depth == 0:
            tree |= {name.lower(): _tree(rf"{key}\{name}", 1) for name in below}
        return tree
