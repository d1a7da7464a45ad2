"""Loads `catalog/*.yaml`: names, severities and texts of traps.

There is one file per vendor or family of MIBs. A bad file is refused with file, line
and reason. A council's own files, in its configured folder, are read last and win.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from collectors.snmp.traps.trap_text import Severity, to_snake_case
from collectors.strict_model import StrictModel
from collectors.yaml_file import parse_yaml, read_text, validate
from probes.wire.catalogue import did_you_mean

Oid = Annotated[str, Field(pattern=r"^[0-2](\.\d{1,10}){1,127}$")]
_EventName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,62}$")]


def _expand_oid(value: Any) -> Any:
    """Accept `ifIndex: 1.3.6…` for `ifIndex: {oid: 1.3.6…}`."""
    return {"oid": value} if isinstance(value, str) else value


class TrapObject(StrictModel):
    """A variable. `values`: names of its numbers. `divisor` divides the value, and
    `unit` follows it. `personal`: personal data, which is never shown."""

    oid: Oid
    values: dict[int, str] = Field(default_factory=dict)
    unit: str = ""
    divisor: Annotated[float, Field(gt=0)] = 1
    personal: bool = False


class SeverityByValue(StrictModel):
    """The severity by a variable's value: names or numbers of values for each level."""

    object: str
    ok: tuple[str | int, ...] = ()
    info: tuple[str | int, ...] = ()
    notice: tuple[str | int, ...] = ()
    warning: tuple[str | int, ...] = ()
    critical: tuple[str | int, ...] = ()

    def severity(self, shown: str, number: str) -> Severity | None:
        for severity in ("critical", "warning", "notice", "info", "ok"):
            if any(str(v) in (shown, number) for v in getattr(self, severity)):
                return severity
        return None


class TrapDefinition(StrictModel):
    """One notification.

    `event`: our name for it; by default its MIB's name in snake case. `severity`: by
    default guessed from the words of its name and text. `by`: from the value of a
    variable. `text`: with `{object}` for values; by default the name and all variables.
    `port`: the object that gives the port (an ifIndex, a name, or one whose index
    starts with the ifIndex); ifIndex, ifName and ifDescr are recognised in any case.
    `about`: the object that gives what else it is about: a peer, an outlet, an access
    point. `clears`: the events that this one ends. `link`: poll the port at once.
    `personal`: it is about a person (a wireless client): counted but not stored.
    `resent_s`: how often it is repeated while it lasts; it is over after twice that
    time without another. `also`: its other OIDs. `family`: it applies to everything
    below its OID that has no entry of its own.
    """

    oid: Oid
    also: tuple[Oid, ...] = ()
    event: _EventName | None = None
    severity: Severity | None = None
    by: SeverityByValue | None = None
    text: str = ""
    port: str = ""
    about: str = ""
    clears: tuple[_EventName, ...] = ()
    link: bool = False
    personal: bool = False
    resent_s: Annotated[int, Field(ge=0)] = 0
    family: bool = False


_ObjectField = Annotated[TrapObject, BeforeValidator(_expand_oid)]
_TrapField = Annotated[TrapDefinition, BeforeValidator(_expand_oid)]


class _File(StrictModel):
    vendor: str = ""
    vendors: dict[int, str] = Field(default_factory=dict)
    names: dict[str, Oid] = Field(default_factory=dict)
    objects: dict[str, _ObjectField] = Field(default_factory=dict)
    traps: dict[str, _TrapField] = Field(default_factory=dict)


class NamedTrap(StrictModel):
    """A trap and its name in the MIB."""

    name: str
    trap: TrapDefinition


class TrapCatalog:
    """All objects and traps by OID, from all files."""

    def __init__(self) -> None:
        self.objects: dict[str, TrapObject] = {}
        self.by_oid: dict[str, str] = {}
        self.traps: dict[str, NamedTrap] = {}
        self.families: dict[str, NamedTrap] = {}
        self.vendors: dict[int, str] = {}
        self.states: set[str] = set()

    def add(self, file: _File) -> None:
        self.vendors |= file.vendors
        for name, oid in file.names.items():
            self.by_oid[oid] = name
        for name, variable in file.objects.items():
            self.objects[name] = variable
            self.by_oid[variable.oid] = name
        for name, trap in file.traps.items():
            known = self.families if trap.family else self.traps
            for oid in (trap.oid, *trap.also):
                known[oid] = NamedTrap(name=name, trap=trap)
                self.by_oid[oid] = name
            self.states |= set(trap.clears)
            if trap.by is not None and trap.by.ok and trap.event:
                self.states.add(trap.event)

    @property
    def events(self) -> set[str]:
        """Return the names of all events that these traps begin or end."""
        traps = [*self.traps.values(), *self.families.values()]
        begun = {named.trap.event or to_snake_case(named.name) for named in traps}
        return begun | {event for named in traps for event in named.trap.clears}


class CatalogError(ValueError):
    """The files cannot be used; `findings` are the reasons, a sentence each."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings


def load(folder: Path | None = None) -> TrapCatalog:
    """Load Towpath's own files and those in `folder`. Raises `CatalogError` if one is
    wrong."""
    own = Path(str(resources.files("collectors.snmp.traps"))) / "catalog"
    sources = sorted(own.glob("*.yaml"))
    findings: list[str] = []
    if folder is not None:
        if folder.is_dir():
            sources += sorted(folder.glob("*.yaml"))
        else:
            findings.append(f"{folder}: is not a folder")
    catalog = TrapCatalog()
    files = list(_read_files(sources, findings))
    for _, _, file in files:
        catalog.add(file)
    for source, lines, file in files:
        for path, message in _find_unknown_objects(file, catalog):
            findings.append(f"{source}:{lines.line(path)}: {path} {message}")
    if findings:
        raise CatalogError(findings)
    return catalog


def _read_files(sources: Iterable[Path], findings: list[str]) -> Iterator[Any]:
    for source in sources:
        text = read_text(source, findings)
        if text is None:
            continue
        document, lines = parse_yaml(source, text, findings)
        if document is None:
            continue
        file = validate(source, document, lines, _File, findings)
        if file is not None:
            yield source, lines, file


def _find_unknown_objects(
    file: _File, catalog: TrapCatalog
) -> Iterator[tuple[str, str]]:
    for name, trap in file.traps.items():
        place = f"traps.{name}"
        for key, names in (
            ("text", read_placeholders(trap.text)),
            ("port", [trap.port] if trap.port else []),
            ("about", [trap.about] if trap.about else []),
            ("by", [trap.by.object] if trap.by else []),
        ):
            for item in names:
                if item not in catalog.objects:
                    hint = did_you_mean(item, catalog.objects)
                    yield f"{place}.{key}", f"no object is called {item!r}{hint}"


def read_placeholders(text: str) -> list[str]:
    """Return the names in braces."""
    return [name for _, name, _, _ in string.Formatter().parse(text) if name]
