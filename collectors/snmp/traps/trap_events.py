"""Converts notifications to events. Pure, except for caches of OIDs."""

from __future__ import annotations

import string
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from collectors.snmp.traps.trap_catalog import (
    NamedTrap,
    TrapCatalog,
    TrapDefinition,
    TrapObject,
)
from collectors.snmp.traps.trap_message import TrapBind, TrapPdu
from collectors.snmp.traps.trap_text import (
    LEVELS,
    Severity,
    find_stated_severity,
    format_value,
    guess_severity,
    split_words,
    to_snake_case,
)
from probes.wire.display import shortened

_ENTERPRISES = "1.3.6.1.4.1."
_FAULT = LEVELS["warning"]
_MAX_TEXT = 500
_MAX_NAME = 64
_MAX_UNKNOWN = 2_000
_PORT_OBJECTS = ("ifIndex", "ifName", "ifDescr", "ifOperStatus", "ifAdminStatus")
_WITHHELD = "(withheld)"


class TrapEvent(msgspec.Struct, frozen=True, gc=False):
    """A notification as an event.

    `port_index`: the port's ifIndex, or None; `port`: its name, if sent. `active`: 1 if
    another event will end this one, 0 if this is such an end, None if it has no end.
    `quiet_s`: it is over after this long without another; 0 means the default.
    """

    event: str
    severity: Severity
    text: str
    trap: str
    name: str = ""
    port: str = ""
    port_index: int | None = None
    about: str = ""
    active: int | None = None
    clears: tuple[str, ...] = ()
    link: bool = False
    personal: bool = False
    quiet_s: int = 0

    @property
    def is_state(self) -> bool:
        """True if a poll may tell more: it begins or ends a state, or is a fault."""
        return self.active is not None or bool(self.clears) or self.level >= _FAULT

    @property
    def level(self) -> int:
        return LEVELS[self.severity]


class _Variable(msgspec.Struct, frozen=True, gc=False):
    """One variable. `shown`: its value for people; `number`: its value as plain
    text."""

    object: str
    index: str
    shown: str
    number: str


class TrapReader:
    """Converts notifications to events by a catalogue of traps."""

    def __init__(self, catalog: TrapCatalog) -> None:
        self._catalog = catalog
        self._unknown_traps: set[str] = set()
        self._locate = lru_cache(maxsize=16_384)(self._find)
        self._find_trap = lru_cache(maxsize=4_096)(self._look_up)

    def to_event(self, pdu: TrapPdu) -> TrapEvent:
        """Return the event. Unknown traps become events too, as readable as
        possible."""
        named_trap = self._find_trap(pdu.trap)
        variables = [self._to_variable(bind) for bind in pdu.binds]
        values: dict[str, _Variable] = {}
        for variable in variables:
            values.setdefault(variable.object, variable)
        port_index, port = _find_port(values, named_trap.trap if named_trap else None)
        if named_trap is None:
            return self._unknown_event(pdu.trap, variables, port_index, port)
        trap = named_trap.trap
        event = (
            trap.event or to_snake_case(named_trap.name) or self._unknown_name(pdu.trap)
        )
        if trap.personal:
            return TrapEvent(
                event,
                "info",
                "",
                pdu.trap,
                named_trap.name,
                personal=True,
            )
        text = self._format_text(pdu.trap, named_trap, variables, values)
        severity = self._find_severity(named_trap, values)
        active: int | None = None
        if not trap.clears and event in self._catalog.states:
            active = int(severity != "ok")
        about = values.get(trap.about)
        return TrapEvent(
            event,
            severity,
            text,
            pdu.trap,
            named_trap.name,
            port,
            port_index,
            about.shown[:_MAX_NAME] if about is not None else "",
            active,
            trap.clears,
            trap.link,
            quiet_s=2 * trap.resent_s,
        )

    def longest_name(self, oid: str) -> str:
        """Return `oid` with the longest known name: `ciscoEnvMonObjects.2.1.3`."""
        name, index = self._locate(oid)
        if not name:
            return oid
        return f"{name}.{index}" if index else name

    def vendor(self, oid: str) -> str:
        """Return the vendor of the enterprise number in `oid`, or ""."""
        if not oid.startswith(_ENTERPRISES):
            return ""
        number = oid[len(_ENTERPRISES) :].split(".", 1)[0]
        return self._catalog.vendors.get(int(number), f"enterprise {number}")

    def _look_up(self, trap: str) -> NamedTrap | None:
        """Find a trap by its OID, with or without the 0 that RFC 3584 inserts for v1;
        else by its family."""
        traps = self._catalog.traps
        head, _, last = trap.rpartition(".")
        other = f"{head[:-2]}.{last}" if head.endswith(".0") else f"{head}.0.{last}"
        named_trap = traps.get(trap) or traps.get(other)
        if named_trap is not None:
            return named_trap
        while head:
            family = self._catalog.families.get(head)
            if family is not None:
                name = self._catalog.by_oid.get(trap, "")
                return NamedTrap(name=name, trap=family.trap)
            head = head.rpartition(".")[0]
        return None

    def _find(self, oid: str) -> tuple[str, str]:
        """Return (name of the longest known prefix of `oid`, the rest)."""
        by_oid = self._catalog.by_oid
        head, index = oid, ""
        while head:
            name = by_oid.get(head)
            if name is not None:
                return name, index
            head, _, last = head.rpartition(".")
            index = f"{last}.{index}" if index else last
        return "", oid

    def _to_variable(self, bind: TrapBind) -> _Variable:
        name, index = self._locate(bind.oid)
        known_object = self._catalog.objects.get(name)
        if known_object is None:
            # The name is not a variable's, so the whole OID is shown.
            name = f"{name}.{index}" if name and index else name or bind.oid
            index = ""
        plain = format_value(bind.tag, bind.value)
        return _Variable(name, index, self._format(known_object, bind, plain), plain)

    def _format(
        self, known_object: TrapObject | None, bind: TrapBind, plain: str
    ) -> str:
        if known_object is None:
            return self.longest_name(plain) if bind.tag == 6 else plain
        if known_object.personal:
            return _WITHHELD
        if isinstance(bind.value, int):
            if bind.value in known_object.values:
                return known_object.values[bind.value]
            if known_object.divisor != 1:
                plain = f"{bind.value / known_object.divisor:g}"
        if plain.isdecimal() and int(plain) in known_object.values:
            return known_object.values[int(plain)]
        if bind.tag == 6:
            plain = self.longest_name(plain)
        return f"{plain} {known_object.unit}" if known_object.unit and plain else plain

    def _format_text(
        self,
        trap: str,
        named_trap: NamedTrap,
        variables: list[_Variable],
        values: dict[str, _Variable],
    ) -> str:
        if not named_trap.trap.text:
            title = split_words(named_trap.name).capitalize()
            return _shorten(
                _title_with_variables(title or f"{self.vendor(trap)} trap", variables)
            )
        parts = []
        for literal, name, _, _ in string.Formatter().parse(named_trap.trap.text):
            parts.append(literal)
            if name:
                parts.append(values[name].shown if name in values else "?")
        return _shorten("".join(parts))

    def _find_severity(
        self, named_trap: NamedTrap, values: dict[str, _Variable]
    ) -> Severity:
        trap = named_trap.trap
        if trap.by is not None and trap.by.object in values:
            variable = values[trap.by.object]
            severity_by_value = trap.by.severity(variable.shown, variable.number)
            if severity_by_value is not None:
                return severity_by_value
        if trap.severity is not None:
            return trap.severity
        return _guess_severity(split_words(named_trap.name), values.values())

    def _unknown_event(
        self, trap: str, variables: list[_Variable], port_index: int | None, port: str
    ) -> TrapEvent:
        name = self.longest_name(trap)
        vendor = self.vendor(trap)
        title = f"{vendor} trap {name}" if vendor else f"Trap {name}"
        text = _shorten(_title_with_variables(title, variables))
        return TrapEvent(
            self._unknown_name(trap),
            _guess_severity("", variables),
            text,
            trap,
            "",
            port,
            port_index,
        )

    def _unknown_name(self, trap: str) -> str:
        """Return a name with the OID. Beyond a limit all have one name, because each
        name becomes a series in the store."""
        if trap not in self._unknown_traps:
            if len(self._unknown_traps) >= _MAX_UNKNOWN:
                return "trap"
            self._unknown_traps.add(trap)
        return f"trap {trap}"[:80]


def _find_port(
    values: dict[str, _Variable], trap: TrapDefinition | None
) -> tuple[int | None, str]:
    """Return (ifIndex, name) of the port, as far as the notification has them."""
    index: int | None = None
    name = ""
    if trap is not None and trap.port and trap.port in values:
        variable = values[trap.port]
        if trap.port.endswith(("IfIndex", "ifIndex")) and variable.number.isdecimal():
            index = int(variable.number)
        elif variable.index:
            index = _first_number(variable.index)
        else:
            name = variable.shown
    for port_object in _PORT_OBJECTS:
        if index is not None and name:
            break
        if port_object not in values:
            continue
        variable = values[port_object]
        if index is None:
            if port_object == "ifIndex" and variable.number.isdecimal():
                index = int(variable.number)
            else:
                index = _first_number(variable.index)
        if port_object in ("ifName", "ifDescr") and not name:
            name = variable.shown
    return index, name[:_MAX_NAME]


def _first_number(index: str) -> int | None:
    head = index.split(".", 1)[0]
    return int(head) if head.isdecimal() else None


def _title_with_variables(title: str, variables: list[_Variable]) -> str:
    """Return a title, followed by all variables."""
    texts = []
    for variable in variables:
        if variable.shown in ("", _WITHHELD) or variable.object == "snmpTrapEnterprise":
            continue
        index = f".{variable.index}" if variable.index not in ("", "0") else ""
        texts.append(f"{variable.object}{index} {variable.shown}")
    return f"{title}: {', '.join(texts)}" if texts else title


def _guess_severity(name: str, variables: Iterable[_Variable]) -> Severity:
    """Guess the severity: from a variable that states one, else from the trap's name,
    else from the texts of its variables."""
    texts = [
        variable.shown
        for variable in variables
        if not variable.number.isdecimal() and len(variable.number) > 1
    ]
    stated = find_stated_severity(texts)
    if stated is not None:
        return stated
    from_name = guess_severity(name) if name else "info"
    if from_name not in ("info", "notice"):
        return from_name
    sentences = [text if " " in text else split_words(text) for text in texts]
    from_texts = guess_severity(*sorted(sentences, key=lambda text: " " not in text))
    return from_texts if from_texts != "info" else from_name


def _shorten(text: str) -> str:
    return shortened(text, _MAX_TEXT)
