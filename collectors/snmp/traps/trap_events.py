"""From a notification to an event. Pure, but for what it remembers of OIDs."""

from __future__ import annotations

import string
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from collectors.snmp.traps.trap_catalog import Catalog, Named, Object, Trap
from collectors.snmp.traps.trap_message import Pdu, TrapBind
from collectors.snmp.traps.trap_text import (
    LEVELS,
    Severity,
    guess,
    readable,
    snaked,
    stated,
    worded,
)

_ENTERPRISES = "1.3.6.1.4.1."
_LONGEST_TEXT = 500
_LONGEST_NAME = 64
_MOST_STRANGE = 2_000
_PORT_OBJECTS = ("ifIndex", "ifName", "ifDescr", "ifOperStatus", "ifAdminStatus")
_WITHHELD = "(withheld)"


class Event(msgspec.Struct, frozen=True, gc=False):
    """What a notification says. `port_index`: the port's ifIndex, None where none was
    said; `port`: its name if that was said. `active`: 1 where it begins something that
    another will end, 0 where it ends it; None for what only happens. `quiet_s`: after
    this long without another it is over; 0 for the usual time."""

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
    def level(self) -> int:
        return LEVELS[self.severity]


class _Said(msgspec.Struct, frozen=True, gc=False):
    """One variable as it reads. `number`: its value as a plain text."""

    object: str
    index: str
    shown: str
    number: str


class TrapReader:
    """Reads notifications by a catalogue of traps."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._strange: set[str] = set()
        self._place = lru_cache(maxsize=16_384)(self._find)
        self._named = lru_cache(maxsize=4_096)(self._look_up)

    def read(self, pdu: Pdu) -> Event:
        """The event. Traps that no file names become one too, as readable as can be."""
        named = self._named(pdu.trap)
        said = [self._say(bind) for bind in pdu.binds]
        values: dict[str, _Said] = {}
        for each in said:
            values.setdefault(each.object, each)
        port_index, port = _port(values, named.trap if named else None)
        if named is None:
            return self._strange_event(pdu.trap, said, port_index, port)
        trap = named.trap
        event = trap.event or snaked(named.name) or self._strange_name(pdu.trap)
        if trap.personal:
            return Event(
                event,
                "info",
                "",
                pdu.trap,
                named.name,
                personal=True,
            )
        text = self._text(pdu.trap, named, said, values)
        severity = self._severity(named, values)
        active: int | None = None
        if not trap.clears and event in self._catalog.states:
            active = int(severity != "ok")
        about = values.get(trap.about)
        return Event(
            event,
            severity,
            text,
            pdu.trap,
            named.name,
            port,
            port_index,
            about.shown[:_LONGEST_NAME] if about is not None else "",
            active,
            trap.clears,
            trap.link,
            quiet_s=2 * trap.resent_s,
        )

    def name_of(self, oid: str) -> str:
        """`oid` by the nearest name that is known: `ciscoEnvMonObjects.2.1.3`."""
        name, index = self._place(oid)
        if not name:
            return oid
        return f"{name}.{index}" if index else name

    def vendor_of(self, oid: str) -> str:
        """Whose enterprise number is in `oid`; "" where it has none."""
        if not oid.startswith(_ENTERPRISES):
            return ""
        number = oid[len(_ENTERPRISES) :].split(".", 1)[0]
        return self._catalog.vendors.get(int(number), f"enterprise {number}")

    def _look_up(self, trap: str) -> Named | None:
        """By its OID, with or without the 0 that v1's way of naming puts in; else by
        its family."""
        known = self._catalog.traps
        head, _, last = trap.rpartition(".")
        other = f"{head[:-2]}.{last}" if head.endswith(".0") else f"{head}.0.{last}"
        found = known.get(trap) or known.get(other)
        if found is not None:
            return found
        while head:
            family = self._catalog.families.get(head)
            if family is not None:
                name = self._catalog.by_oid.get(trap, "")
                return Named(name=name, trap=family.trap)
            head = head.rpartition(".")[0]
        return None

    def _find(self, oid: str) -> tuple[str, str]:
        """(the name of the longest known beginning of `oid`, what follows it)."""
        by_oid = self._catalog.by_oid
        head, index = oid, ""
        while head:
            name = by_oid.get(head)
            if name is not None:
                return name, index
            head, _, last = head.rpartition(".")
            index = f"{last}.{index}" if index else last
        return "", oid

    def _say(self, bind: TrapBind) -> _Said:
        name, index = self._place(bind.oid)
        known = self._catalog.objects.get(name)
        if known is None:
            # Below a name that is not a variable: told whole.
            name = f"{name}.{index}" if name and index else name or bind.oid
            index = ""
        plain = readable(bind.tag, bind.value)
        return _Said(name, index, self._show(known, bind, plain), plain)

    def _show(self, known: Object | None, bind: TrapBind, plain: str) -> str:
        if known is None:
            return self.name_of(plain) if bind.tag == 6 else plain
        if known.personal:
            return _WITHHELD
        if isinstance(bind.value, int):
            if bind.value in known.values:
                return known.values[bind.value]
            if known.divisor != 1:
                plain = f"{bind.value / known.divisor:g}"
        if plain.isdecimal() and int(plain) in known.values:
            return known.values[int(plain)]
        if bind.tag == 6:
            plain = self.name_of(plain)
        return f"{plain} {known.unit}" if known.unit and plain else plain

    def _text(
        self, trap: str, named: Named, said: list[_Said], values: dict[str, _Said]
    ) -> str:
        if not named.trap.text:
            title = worded(named.name).capitalize()
            return _cut(_told(title or f"{self.vendor_of(trap)} trap", said))
        parts = []
        for literal, name, _, _ in string.Formatter().parse(named.trap.text):
            parts.append(literal)
            if name:
                parts.append(values[name].shown if name in values else "?")
        return _cut("".join(parts))

    def _severity(self, named: Named, values: dict[str, _Said]) -> Severity:
        trap = named.trap
        if trap.by is not None and trap.by.object in values:
            each = values[trap.by.object]
            found = trap.by.severity(each.shown, each.number)
            if found is not None:
                return found
        if trap.severity is not None:
            return trap.severity
        return _guess(worded(named.name), values.values())

    def _strange_event(
        self, trap: str, said: list[_Said], port_index: int | None, port: str
    ) -> Event:
        name = self.name_of(trap)
        vendor = self.vendor_of(trap)
        title = f"{vendor} trap {name}" if vendor else f"Trap {name}"
        text = _cut(_told(title, said))
        return Event(
            self._strange_name(trap),
            _guess("", said),
            text,
            trap,
            "",
            port,
            port_index,
        )

    def _strange_name(self, trap: str) -> str:
        """Its OID; the same for all beyond a bound, for a name is a series for ever."""
        if trap not in self._strange:
            if len(self._strange) >= _MOST_STRANGE:
                return "trap"
            self._strange.add(trap)
        return f"trap {trap}"[:80]


def _port(values: dict[str, _Said], trap: Trap | None) -> tuple[int | None, str]:
    """(ifIndex, name) as far as the notification says them."""
    index: int | None = None
    name = ""
    if trap is not None and trap.port and trap.port in values:
        each = values[trap.port]
        if trap.port.endswith(("IfIndex", "ifIndex")) and each.number.isdecimal():
            index = int(each.number)
        elif each.index:
            index = _first(each.index)
        else:
            name = each.shown
    for known in _PORT_OBJECTS:
        if index is not None and name:
            break
        if known not in values:
            continue
        each = values[known]
        if index is None:
            if known == "ifIndex" and each.number.isdecimal():
                index = int(each.number)
            else:
                index = _first(each.index)
        if known in ("ifName", "ifDescr") and not name:
            name = each.shown
    return index, name[:_LONGEST_NAME]


def _first(index: str) -> int | None:
    head = index.split(".", 1)[0]
    return int(head) if head.isdecimal() else None


def _told(title: str, said: list[_Said]) -> str:
    """A title and all that came with it."""
    told = [
        f"{each.object}{'.' + each.index if each.index not in ('', '0') else ''}"
        f" {each.shown}"
        for each in said
        if each.shown not in ("", _WITHHELD) and each.object != "snmpTrapEnterprise"
    ]
    return f"{title}: {', '.join(told)}" if told else title


def _guess(name: str, said: Iterable[_Said]) -> Severity:
    """By what the sender says of it in so many words; else by its name, which is the
    maker's; else by the texts that came with it."""
    spoken = [
        each.shown
        for each in said
        if not each.number.isdecimal() and len(each.number) > 1
    ]
    own = stated(spoken)
    if own is not None:
        return own
    named = guess(name) if name else "info"
    if named not in ("info", "notice"):
        return named
    texts = [each if " " in each else worded(each) for each in spoken]
    heard = guess(*sorted(texts, key=lambda text: " " not in text))
    return heard if heard != "info" else named


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
