"""`catalog/*.yaml`: what traps are called, how bad they are, and how they read.

One file a vendor or family of MIBs. A malformed one is refused with file, line and
reason. A council's own files, in the folder it names, are read after Towpath's and win.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from collectors.snmp.traps.trap_text import Severity, snaked
from collectors.yaml_file import fit, parse, read_text
from probes.wire.catalogue import did_you_mean

Oid = Annotated[str, Field(pattern=r"^[0-2](\.\d{1,10}){1,127}$")]
_EventName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,62}$")]


def _oid_alone(value: Any) -> Any:
    """`ifIndex: 1.3.6…` for `ifIndex: {oid: 1.3.6…}`."""
    return {"oid": value} if isinstance(value, str) else value


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )


class Object(_Part):
    """A variable. `values` names its numbers; `unit` follows its value, after
    `divisor`. `personal`: who it is about is nobody's business: never shown."""

    oid: Oid
    values: dict[int, str] = {}
    unit: str = ""
    divisor: Annotated[float, Field(gt=0)] = 1
    personal: bool = False


class By(_Part):
    """How bad, by what a variable says: names (or numbers) of its values."""

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


class Trap(_Part):
    """One notification.

    `event`: what it is called here; without one its MIB's name, in small letters.
    `severity`: without one, as the words of its name and text say. `by`: by a value.
    `text`: with `{object}` for values; without one, the name and all that came.
    `port`: the object that says the port (an ifIndex, a name, or one whose index begins
    with it); ifIndex, ifName and ifDescr are found anyway. `about`: the object that
    says what else it is about: a peer, an outlet, an access point.
    `clears`: the events that this one ends. `link`: the port is to be read at once.
    `personal`: it is about a person (a wireless client): counted and not kept.
    `resent_s`: it is sent again that often while it lasts; twice that without is the
    end of it. `also`: other OIDs of it. `family`: it stands for all below its OID that
    have no entry of their own.
    """

    oid: Oid
    also: tuple[Oid, ...] = ()
    event: _EventName | None = None
    severity: Severity | None = None
    by: By | None = None
    text: str = ""
    port: str = ""
    about: str = ""
    clears: tuple[_EventName, ...] = ()
    link: bool = False
    personal: bool = False
    resent_s: Annotated[int, Field(ge=0)] = 0
    family: bool = False


_Object = Annotated[Object, BeforeValidator(_oid_alone)]
_Trap = Annotated[Trap, BeforeValidator(_oid_alone)]


class _File(_Part):
    vendor: str = ""
    vendors: dict[int, str] = {}
    names: dict[str, Oid] = {}
    objects: dict[str, _Object] = {}
    traps: dict[str, _Trap] = {}


class Named(_Part):
    """A trap with its MIB's name."""

    name: str
    trap: Trap


class Catalog:
    """All that is known of traps. `findings` are those of files it was read without."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.by_oid: dict[str, str] = {}
        self.traps: dict[str, Named] = {}
        self.families: dict[str, Named] = {}
        self.vendors: dict[int, str] = {}
        self.states: set[str] = set()

    def add(self, file: _File) -> None:
        self.vendors |= file.vendors
        for name, oid in file.names.items():
            self.by_oid[oid] = name
        for name, each in file.objects.items():
            self.objects[name] = each
            self.by_oid[each.oid] = name
        for name, trap in file.traps.items():
            known = self.families if trap.family else self.traps
            for oid in (trap.oid, *trap.also):
                known[oid] = Named(name=name, trap=trap)
                self.by_oid[oid] = name
            self.states |= set(trap.clears)
            if trap.by is not None and trap.by.ok and trap.event:
                self.states.add(trap.event)

    @property
    def events(self) -> set[str]:
        """What all these traps are called, and what they end."""
        named = [*self.traps.values(), *self.families.values()]
        begun = {each.trap.event or snaked(each.name) for each in named}
        return begun | {event for each in named for event in each.trap.clears}


class CatalogError(ValueError):
    """The files cannot be used; `findings` says why, one sentence each."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings


def load(folder: Path | None = None) -> Catalog:
    """Towpath's own files and those of `folder`. `CatalogError` where one is wrong."""
    own = Path(str(resources.files("collectors.snmp.traps"))) / "catalog"
    sources = sorted(own.glob("*.yaml"))
    findings: list[str] = []
    if folder is not None:
        if folder.is_dir():
            sources += sorted(folder.glob("*.yaml"))
        else:
            findings.append(f"{folder}: is not a folder")
    catalog = Catalog()
    read = list(_read(sources, findings))
    for _, _, file in read:
        catalog.add(file)
    for source, lines, file in read:
        for path, says in _misfits(file, catalog):
            findings.append(f"{source}:{lines.of(path)}: {path} {says}")
    if findings:
        raise CatalogError(findings)
    return catalog


def _read(sources: Iterable[Path], findings: list[str]) -> Iterator[Any]:
    for source in sources:
        text = read_text(source, findings)
        if text is None:
            continue
        document, lines = parse(source, text, findings)
        if document is None:
            continue
        file = fit(source, document, lines, _File, findings)
        if file is not None:
            yield source, lines, file


def _misfits(file: _File, catalog: Catalog) -> Iterator[tuple[str, str]]:
    for name, trap in file.traps.items():
        where = f"traps.{name}"
        for key, used in (
            ("text", placeholders(trap.text)),
            ("port", [trap.port] if trap.port else []),
            ("about", [trap.about] if trap.about else []),
            ("by", [trap.by.object] if trap.by else []),
        ):
            for each in used:
                if each not in catalog.objects:
                    hint = did_you_mean(each, catalog.objects)
                    yield f"{where}.{key}", f"no object is called {each!r}{hint}"


def placeholders(text: str) -> list[str]:
    """The names in braces."""
    return [name for _, name, _, _ in string.Formatter().parse(text) if name]
