"""The tables of the agent's MSI: what is installed where, and in which order.

Properties of the command line: `SERVER`, `TOKEN`, `RING`, and `KEEPSTATE` to uninstall.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from msi_database import Table, Value

PRODUCT, MAKER, SERVICE = "Towpath agent", "Towpath", "TowpathAgent"
UPGRADE_CODE = "{CA58E9C9-11E2-52CD-A7DC-23D58E69ECE0}"
CABINET = "agent.cab"
SERVICE_PROGRAM = "towpath-agent-service.exe"
SETTINGS_KEY = r"Software\Towpath\Agent"
_EVENTS_KEY = rf"SYSTEM\CurrentControlSet\Services\EventLog\Application\{PRODUCT}"
_DATA = r"[CommonAppDataFolder]Towpath"
_NAMES = uuid.UUID("ca8dd967-e73d-582f-961a-47232baf570a")
_HKLM = 2
# Remembered from one version to the next.
REMEMBERED = ("SERVER", "RING")
# Actions: a library of the Binary table; set a property; an error.
_LIBRARY, _SET_PROPERTY, _ERROR = 1, 51, 19
_GO_ON, _ROLLBACK, _COMMIT, _DEFERRED, _AS_SYSTEM, _HIDDEN = (
    0x40,
    0x100,
    0x200,
    0x400,
    0x800,
    0x2000,
)
_SYSTEM = _LIBRARY | _DEFERRED | _AS_SYSTEM


class InstalledFile(NamedTuple):
    """A file below the program's folder, with its key in the cabinet."""

    key: str
    path: PurePosixPath
    size: int


def guid(name: str) -> str:
    """The same name has the same identifier in every build. Pure."""
    return f"{{{str(uuid.uuid5(_NAMES, name)).upper()}}}"


def file_key(path: PurePosixPath) -> str:
    """Pure."""
    return f"F{uuid.uuid5(_NAMES, str(path)).hex}"


def installer_tables(
    files: list[InstalledFile], version: str, actions: bytes, product_code: str
) -> dict[str, Table]:
    """All tables; `actions` is the library of `installer-actions.c`. Pure."""
    folders = sorted({parent for file in files for parent in file.path.parents})
    main = _component(PurePosixPath("."))
    return {
        "Property": _properties(version, product_code),
        "Directory": _directories(folders),
        "Component": _components(files, folders),
        "File": _files(files),
        "Media": Table(
            [("DiskId", "i2"), ("LastSequence", "i4"), ("DiskPrompt", "L64"),
             ("Cabinet", "S255"), ("VolumeLabel", "S32"), ("Source", "S72")],
            1, [(1, len(files), None, f"#{CABINET}", None, None)],
        ),
        "Feature": Table(
            [("Feature", "s38"), ("Feature_Parent", "S38"), ("Title", "L64"),
             ("Description", "L255"), ("Display", "I2"), ("Level", "i2"),
             ("Directory_", "S72"), ("Attributes", "i2")],
            1, [("Agent", None, PRODUCT, None, 1, 1, "AGENTFOLDER", 0)],
        ),
        "FeatureComponents": Table(
            [("Feature_", "s38"), ("Component_", "s72")],
            2, [("Agent", _component(used)) for used in _with_files(files, folders)],
        ),
        "Registry": _registry(main),
        "ServiceInstall": Table(
            [("ServiceInstall", "s72"), ("Name", "s255"), ("DisplayName", "L255"),
             ("ServiceType", "i4"), ("StartType", "i4"), ("ErrorControl", "i4"),
             ("LoadOrderGroup", "S255"), ("Dependencies", "S255"),
             ("StartName", "S255"), ("Password", "S255"), ("Arguments", "S255"),
             ("Component_", "s72"), ("Description", "L255")],
            1, [("Service", SERVICE, PRODUCT, 0x10, 2, 1, None, None,
                 r"NT AUTHORITY\LocalService", None, None, main,
                 "Measures how well this laptop is connected, for the council")],
        ),
        # At installation: stop, start. At uninstallation: stop, delete. Wait for each.
        "ServiceControl": Table(
            [("ServiceControl", "s72"), ("Name", "l255"), ("Event", "i2"),
             ("Arguments", "S255"), ("Wait", "I2"), ("Component_", "s72")],
            1, [("Service", SERVICE, 0x1 | 0x2 | 0x20 | 0x80, None, 1, main)],
        ),
        # SERVICE_CONFIG_DELAYED_AUTO_START, and failure actions for any end in error.
        "MsiServiceConfig": Table(
            [("MsiServiceConfig", "s72"), ("Name", "s255"), ("Event", "i2"),
             ("ConfigType", "i4"), ("Argument", "S0"), ("Component_", "s72")],
            1, [("Delayed", SERVICE, 1, 3, "1", main),
                ("Failures", SERVICE, 1, 4, "1", main)],
        ),
        # Start it again after a minute, as often as needed.
        "MsiServiceConfigFailureActions": Table(
            [("MsiServiceConfigFailureActions", "s72"), ("Name", "s255"),
             ("Event", "i2"), ("ResetPeriod", "I4"), ("RebootMessage", "L255"),
             ("Command", "L255"), ("Actions", "S0"), ("DelayActions", "S0"),
             ("Component_", "s72")],
            1, [("Restart", SERVICE, 1, 86_400, None, None, "1[~]1[~]1",
                 "60000[~]60000[~]60000", main)],
        ),
        "Environment": Table(
            [("Environment", "s72"), ("Name", "l255"), ("Value", "L255"),
             ("Component_", "s72")],
            1, [("Path", "=-*PATH", f"[~];[{_directory(PurePosixPath('bin'))}]",
                 _component(PurePosixPath("bin")))],
        ),
        "Shortcut": Table(
            [("Shortcut", "s72"), ("Directory_", "s72"), ("Name", "l128"),
             ("Component_", "s72"), ("Target", "s72"), ("Arguments", "S255"),
             ("Description", "L255"), ("Hotkey", "I2"), ("Icon_", "S72"),
             ("IconIndex", "I2"), ("ShowCmd", "I2"), ("WkDir", "S72")],
            1, [("IsItMe", "ProgramMenuFolder", "ISITME|Is it me", main,
                 f"[#{file_key(PurePosixPath(SERVICE_PROGRAM))}]", "is-it-me",
                 "Check the connection from this laptop and see what to do",
                 None, None, None, None, None)],
        ),
        "Upgrade": Table(
            [("UpgradeCode", "s38"), ("VersionMin", "S20"), ("VersionMax", "S20"),
             ("Language", "S255"), ("Attributes", "i4"), ("Remove", "S255"),
             ("ActionProperty", "s72")],
            5, [
                # Older ones, and other builds of the same version, are replaced.
                (UPGRADE_CODE, "0.0.0", version, None, 0x100 | 0x200, None, "OLDER"),
                (UPGRADE_CODE, version, None, None, 0x2, None, "NEWER"),
            ],
        ),
        "AppSearch": Table(
            [("Property", "s72"), ("Signature_", "s72")],
            2, [(f"REMEMBERED_{name}", f"Remembered_{name}") for name in REMEMBERED],
        ),
        # msidbLocatorTypeRawValue and msidbLocatorType64bit.
        "RegLocator": Table(
            [("Signature_", "s72"), ("Root", "i2"), ("Key", "s255"),
             ("Name", "S255"), ("Type", "I2")],
            1, [(f"Remembered_{name}", _HKLM, SETTINGS_KEY, name.lower(), 2 | 16)
                for name in REMEMBERED],
        ),
        "LaunchCondition": Table(
            [("Condition", "s255"), ("Description", "l255")],
            1, [
                ("Privileged", f"The {PRODUCT} is installed by administrators: run "
                 "this as an administrator, or have your endpoint management run it."),
                ("VersionNT64 AND VersionNT >= 603",
                 f"The {PRODUCT} needs Windows 10 or newer, 64 bits."),
                ('NOT SERVER OR SERVER ~<< "https://"',
                 "SERVER is not an address such as https://towpath.example.gov.uk."),
            ],
        ),
        "Binary": Table([("Name", "s72"), ("Data", "v0")], 1, [("Actions", actions)]),
        "CustomAction": _actions(),
        "InstallExecuteSequence": _sequence(),
    }  # fmt: skip


def _properties(version: str, product_code: str) -> Table:
    hidden = ["TOKEN", "PrepareFolders"]
    secure = [*REMEMBERED, "TOKEN", "KEEPSTATE", "OLDER", "NEWER"]
    values = {
        "ProductName": PRODUCT,
        "ProductVersion": version,
        "ProductLanguage": "1033",
        "Manufacturer": MAKER,
        "UpgradeCode": UPGRADE_CODE,
        "ProductCode": product_code,
        # For the machine, never for one user.
        "ALLUSERS": "1",
        # Windows never restarts by itself: the exit code 3010 says that it should.
        "REBOOT": "ReallySuppress",
        "ARPNOMODIFY": "1",
        "SecureCustomProperties": ";".join(sorted(secure)),
        "MsiHiddenProperties": ";".join(hidden),
    }
    return Table([("Property", "s72"), ("Value", "l0")], 1, list(values.items()))


def _directory(folder: PurePosixPath) -> str:
    if folder == PurePosixPath("."):
        return "AGENTFOLDER"
    return f"D{uuid.uuid5(_NAMES, f'folder {folder}').hex}"


def _component(folder: PurePosixPath) -> str:
    return f"C{uuid.uuid5(_NAMES, f'component {folder}').hex}"


def _with_files(
    files: list[InstalledFile], folders: list[PurePosixPath]
) -> list[PurePosixPath]:
    used = {file.path.parent for file in files}
    return [folder for folder in folders if folder in used]


def _directories(folders: list[PurePosixPath]) -> Table:
    rows: list[tuple[Value, ...]] = [
        ("TARGETDIR", None, "SourceDir"),
        ("ProgramFiles64Folder", "TARGETDIR", "."),
        ("ProgramMenuFolder", "TARGETDIR", "."),
        ("CommonAppDataFolder", "TARGETDIR", "."),
        ("MAKERFOLDER", "ProgramFiles64Folder", MAKER),
        ("AGENTFOLDER", "MAKERFOLDER", "Agent"),
    ]
    for number, folder in enumerate(folders):
        if folder != PurePosixPath("."):
            rows.append(
                (
                    _directory(folder),
                    _directory(folder.parent),
                    _short_and_long(folder.name, number),
                )
            )
    return Table(
        [("Directory", "s72"), ("Directory_Parent", "S72"), ("DefaultDir", "l255")],
        1,
        rows,
    )


def _short_and_long(name: str, number: int) -> str:
    """A name for DOS beside one that it does not allow."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,8}(\.[A-Za-z0-9_-]{1,3})?", name):
        return name
    ending = re.sub("[^A-Z0-9]", "", PurePosixPath(name).suffix.upper())[:3]
    return f"T{number:X}{f'.{ending}' if ending else ''}|{name}"


def _components(files: list[InstalledFile], folders: list[PurePosixPath]) -> Table:
    """One for each folder; its first file shows that it is there."""
    first: dict[PurePosixPath, str] = {}
    for file in files:
        # The service's component needs the program itself.
        if file.path.name == SERVICE_PROGRAM:
            first[file.path.parent] = file.key
        first.setdefault(file.path.parent, file.key)
    # msidbComponentAttributes64bit
    rows = [
        (
            _component(folder),
            guid(f"component {folder}"),
            _directory(folder),
            0x100,
            None,
            first[folder],
        )
        for folder in _with_files(files, folders)
    ]
    return Table(
        [("Component", "s72"), ("ComponentId", "S38"), ("Directory_", "s72"),
         ("Attributes", "i2"), ("Condition", "S255"), ("KeyPath", "S72")],
        1, rows,
    )  # fmt: skip


def _files(files: list[InstalledFile]) -> Table:
    # msidbFileAttributesVital
    rows = [
        (
            file.key,
            _component(file.path.parent),
            _short_and_long(file.path.name, number),
            file.size,
            None,
            None,
            0x200,
            number,
        )
        for number, file in enumerate(files, 1)
    ]
    return Table(
        [("File", "s72"), ("Component_", "s72"), ("FileName", "l255"),
         ("FileSize", "i4"), ("Version", "S72"), ("Language", "S20"),
         ("Attributes", "I2"), ("Sequence", "i4")],
        1, rows,
    )  # fmt: skip


def _registry(main: str) -> Table:
    """What the agent reads as the installer's settings, and the source of its events.
    The token is not among them: every user can read this."""
    values: Mapping[tuple[str, str], str] = {
        (SETTINGS_KEY, "server"): "[SERVER]",
        (SETTINGS_KEY, "ring"): "[RING]",
        (SETTINGS_KEY, "state_folder"): rf"{_DATA}\Agent",
        (SETTINGS_KEY, "shared_folder"): _DATA,
        (SETTINGS_KEY, "enrolment_token_file"): rf"{_DATA}\Agent\enrolment-token",
        (_EVENTS_KEY, "EventMessageFile"): r"#%%SystemRoot%\System32\EventCreate.exe",
        # Errors, warnings and information.
        (_EVENTS_KEY, "TypesSupported"): "#7",
    }
    rows: list[tuple[Value, ...]] = [
        (f"R{number}", _HKLM, key, name, value, main)
        for number, ((key, name), value) in enumerate(values.items())
    ]
    return Table(
        [("Registry", "s72"), ("Root", "i2"), ("Key", "l255"), ("Name", "L255"),
         ("Value", "L0"), ("Component_", "s72")],
        1, rows,
    )  # fmt: skip


def _actions() -> Table:
    rows: list[tuple[Value, ...]] = [
        ("RefuseOlder", _ERROR, None,
         f"A newer version of the {PRODUCT} is installed. Uninstall it first."),
        ("CheckProperties", _LIBRARY, "Actions", "CheckProperties"),
        ("SetPrepareFolders", _SET_PROPERTY, "PrepareFolders", "[TOKEN]"),
        ("PrepareFolders", _SYSTEM | _HIDDEN, "Actions", "PrepareFolders"),
        ("ForgetToken", _SYSTEM | _ROLLBACK | _GO_ON, "Actions", "ForgetToken"),
        ("WaitForService", _SYSTEM | _GO_ON, "Actions", "WaitForService"),
        ("MarkUpgrade", _LIBRARY | _GO_ON, "Actions", "MarkUpgrade"),
        ("SetEraseState", _SET_PROPERTY, "EraseState", "[KEEPSTATE]"),
        # At the end, so that a failed uninstallation loses nothing.
        ("EraseState", _SYSTEM | _COMMIT | _GO_ON, "Actions", "EraseState"),
    ]  # fmt: skip
    rows += [
        (f"Remember{name}", _SET_PROPERTY, name, f"[REMEMBERED_{name}]")
        for name in REMEMBERED
    ]
    return Table(
        [("Action", "s72"), ("Type", "i2"), ("Source", "S72"), ("Target", "S255")],
        1,
        rows,
    )


def _sequence() -> Table:
    installing, removing = 'NOT (REMOVE="ALL")', 'REMOVE="ALL"'
    erasing = f"{removing} AND NOT UPGRADINGPRODUCTCODE"
    order: list[tuple[str, str, int]] = [
        ("FindRelatedProducts", "", 25),
        ("RefuseOlder", "NEWER", 30),
        ("AppSearch", "", 50),
        *_remember(),
        ("LaunchConditions", "", 100),
        ("CheckProperties", installing, 110),
        ("ValidateProductID", "", 700),
        ("CostInitialize", "", 800),
        ("FileCost", "", 900),
        ("CostFinalize", "", 1000),
        ("InstallValidate", "", 1400),
        ("MarkUpgrade", "OLDER", 1450),
        ("InstallInitialize", "", 1500),
        # The old version goes first: its service and files, not its state.
        ("RemoveExistingProducts", "", 1501),
        ("ProcessComponents", "", 1600),
        ("UnpublishFeatures", "", 1800),
        ("StopServices", "VersionNT", 1900),
        ("WaitForService", "Installed", 1901),
        ("DeleteServices", "VersionNT", 2000),
        ("RemoveRegistryValues", "", 2600),
        ("RemoveShortcuts", "", 3200),
        ("RemoveEnvironmentStrings", "", 3300),
        ("RemoveFiles", "", 3500),
        ("RemoveFolders", "", 3600),
        ("SetEraseState", erasing, 3649),
        ("EraseState", erasing, 3650),
        ("CreateFolders", "", 3700),
        ("InstallFiles", "", 4000),
        ("CreateShortcuts", "", 4500),
        ("WriteRegistryValues", "", 5000),
        ("WriteEnvironmentStrings", "", 5200),
        ("ForgetToken", installing, 5698),
        ("SetPrepareFolders", installing, 5699),
        ("PrepareFolders", installing, 5700),
        ("InstallServices", "VersionNT", 5800),
        ("MsiConfigureServices", "VersionNT", 5850),
        ("StartServices", "VersionNT", 5900),
        ("RegisterUser", "", 6000),
        ("RegisterProduct", "", 6100),
        ("PublishFeatures", "", 6300),
        ("PublishProduct", "", 6400),
        ("InstallFinalize", "", 6600),
    ]
    return Table(
        [("Action", "s72"), ("Condition", "S255"), ("Sequence", "I2")], 1, order
    )


def _remember() -> Iterator[tuple[str, str, int]]:
    """What the command line does not set is set as the last installation had it."""
    for number, name in enumerate(REMEMBERED, 60):
        yield f"Remember{name}", f"NOT {name} AND REMEMBERED_{name}", number
