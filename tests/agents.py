"""Agents that behave as badly as real ones do, and agents that repeat a recording."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from pathlib import Path

from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedSwitch


class EndlessWalk(SimulatedSwitch):
    """GETNEXT and GETBULK invent rows below the requested one for ever."""

    def reply(self, request: snmp_messages.SnmpRequest) -> bytes | None:
        if request.kind == snmp_messages.GET:
            return super().reply(request)
        row = snmp_messages.arcs_of(request.names[0])
        often = request.second if request.kind == snmp_messages.GET_BULK else 1
        binds = b""
        for _ in range(max(1, min(often, 20))):
            row = (*row[:-1], row[-1] + 1) if len(row) > 10 else (*row, 1)
            binds += snmp_messages.bind(
                snmp_messages.oid_content(row), snmp_messages.integer(1)
            )
        return snmp_messages.response(request, binds)


class SameRowAgain(SimulatedSwitch):
    """A walk that comes back to where it was (Cisco ASAv and others)."""

    def reply(self, request: snmp_messages.SnmpRequest) -> bytes | None:
        if request.kind == snmp_messages.GET:
            return super().reply(request)
        first = self.after(snmp_messages.arcs_of(request.names[0])[:-1])
        assert first is not None
        name = snmp_messages.oid_content(first)
        return snmp_messages.response(
            request, snmp_messages.bind(name, snmp_messages.integer(1)) * 3
        )


class Disorderly(SimulatedSwitch):
    """The rows of every page come backwards, as from an unordered table."""

    def _walk(self, request: snmp_messages.SnmpRequest) -> bytes:
        rows, row = [], snmp_messages.arcs_of(request.names[0])
        for _ in range(max(1, request.second)):
            following = self.after(row)
            if following is None:
                break
            rows.append(following)
            row = following
        rows.reverse()
        binds = b"".join(
            snmp_messages.bind(
                snmp_messages.oid_content(r),
                self._values[snmp_messages.oid_content(r)](),
            )
            for r in rows
        )
        return snmp_messages.response(request, binds)


class TooBig(SimulatedSwitch):
    """Answers tooBig to more than `limit` variables or repetitions."""

    limit = 5

    def reply(self, request: snmp_messages.SnmpRequest) -> bytes | None:
        many = (
            request.second
            if request.kind == snmp_messages.GET_BULK
            else len(request.names)
        )
        if many > self.limit:
            return snmp_messages.response(request, b"", snmp_messages.TOO_BIG, 0)
        return super().reply(request)


class SilentWhenMuch(TooBig):
    """Does not answer requests that are too large for it."""

    def reply(self, request: snmp_messages.SnmpRequest) -> bytes | None:
        many = (
            request.second
            if request.kind == snmp_messages.GET_BULK
            else len(request.names)
        )
        return None if many > self.limit else super().reply(request)


class EmptyWhenMuch(TooBig):
    """Answers requests that are too large without an error and without variables."""

    def reply(self, request: snmp_messages.SnmpRequest) -> bytes | None:
        many = (
            request.second
            if request.kind == snmp_messages.GET_BULK
            else len(request.names)
        )
        if many > self.limit:
            return snmp_messages.response(request, b"")
        return super().reply(request)


class NoBulk(SimulatedSwitch):
    """Answers GETBULK with an error, as printers and cheap UPS cards do."""

    def reply(self, request: snmp_messages.SnmpRequest) -> bytes | None:
        if request.kind == snmp_messages.GET_BULK:
            return snmp_messages.response(request, b"", snmp_messages.GEN_ERR, 1)
        return super().reply(request)


class Truncated(SimulatedSwitch):
    """Every answer is cut off in the middle."""

    def answer(self, data: bytes) -> list[bytes]:
        return [answer[: len(answer) // 2] for answer in super().answer(data)]


class Huge(SimulatedSwitch):
    """A description longer than the receiver's buffer."""

    def rebuild(self) -> None:
        self.description = "x" * 5000
        super().rebuild()

    def _get(self, request: snmp_messages.SnmpRequest) -> bytes:
        binds = [
            snmp_messages.bind(name, self._values[name]())
            for name in request.names
            if name in self._values
        ]
        return snmp_messages.response(request, b"".join(binds))


class Twice(SimulatedSwitch):
    """Every answer comes twice."""

    def answer(self, data: bytes) -> list[bytes]:
        return super().answer(data) * 2


class AnswersTheLastRequest(SimulatedSwitch):
    """Answers each request when the next arrives: always one late."""

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        self._held: list[bytes] = []

    def answer(self, data: bytes) -> list[bytes]:
        due, self._held = self._held, super().answer(data)
        return due


class Lossy(SimulatedSwitch):
    """Loses every `nth` request."""

    nth = 4

    def answer(self, data: bytes) -> list[bytes]:
        answers = super().answer(data)
        return [] if self.requests % self.nth == 0 else answers


class Silent(SimulatedSwitch):
    """Receives requests and never answers; `received` counts them."""

    received = 0

    def answer(self, data: bytes) -> list[bytes]:
        self.received += 1
        return []


class Cached(SimulatedSwitch):
    """Reads its counters at most every `cache_s`, as net-snmp does."""

    cache_s = 1.0
    _looked_s = 0.0
    _kept: dict[bytes, bytes]

    def _get(self, request: snmp_messages.SnmpRequest) -> bytes:
        now_s = time.monotonic()
        if now_s - self._looked_s >= self.cache_s:
            self._looked_s = now_s
            self._kept = {}
        return super()._get(request)

    def rebuild(self) -> None:
        super().rebuild()
        for port in self.ports:
            for column in (6, 10):
                name = snmp_messages.oid_content(
                    (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, column, port.index)
                )
                fresh = self._values[name]
                self._values[name] = lambda name=name, fresh=fresh: self._cached(  # type: ignore[misc]
                    name, fresh
                )

    def _cached(self, name: bytes, fresh: Callable[[], bytes]) -> bytes:
        return self._kept.setdefault(name, fresh())


class CounterAsText(SimulatedSwitch):
    """Sends its octet counters as text."""

    def rebuild(self) -> None:
        super().rebuild()
        for port in self.ports:
            for column in (6, 10):
                name = snmp_messages.oid_content(
                    (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, column, port.index)
                )
                self._values[name] = lambda: snmp_messages.octets("12345")


class Garbling(SimulatedSwitch):
    """Changes some octets of every answer; `seed` decides which."""

    seed = 0

    def answer(self, data: bytes) -> list[bytes]:
        dice = random.Random(self.seed + self.requests)
        garbled = []
        for answer in super().answer(data):
            octets = bytearray(answer)
            for _ in range(dice.randint(0, 4)):
                octets[dice.randrange(len(octets))] = dice.randrange(256)
            garbled.append(bytes(octets[: dice.randint(1, len(octets) * 2)]))
        return garbled


class Recorded(SimulatedSwitch):
    """Repeats a recording (`oid|tag|value` lines, as snmpsim writes them)."""

    def __init__(self, file: Path, **named: object) -> None:
        self._file = file
        super().__init__(file.stem, [], **named)  # type: ignore[arg-type]

    def rebuild(self) -> None:
        values: dict[snmp_messages.Oid, Callable[[], bytes]] = {}
        for line in self._file.read_text(encoding="utf-8").splitlines():
            oid, tag, value = line.split("|", 2)
            encoded = _recorded(tag, value)
            values[snmp_messages.oid_arcs(oid.lstrip("."))] = lambda e=encoded: e  # type: ignore[misc]
        self._rows = sorted(values)
        self._values = {
            snmp_messages.oid_content(row): values[row] for row in self._rows
        }


class RecordedRaw(Recorded):
    """Repeats a file of `oid|tag|value` lines whose tags are letters; after `R` comes
    the encoded value itself, in hex."""

    def rebuild(self) -> None:
        values: dict[snmp_messages.Oid, Callable[[], bytes]] = {}
        for line in self._file.read_text(encoding="utf-8").splitlines():
            if not line or line.startswith("#"):
                continue
            oid, tag, value = line.split("|", 2)
            encoded = _lettered(tag, value)
            values[snmp_messages.oid_arcs(oid)] = lambda e=encoded: e  # type: ignore[misc]
        self._rows = sorted(values)
        self._values = {
            snmp_messages.oid_content(row): values[row] for row in self._rows
        }


_LETTERS = {"i": 2, "c": 0x41, "g": 0x42, "t": 0x43, "C": 0x46}


def _lettered(tag: str, value: str) -> bytes:
    match tag:
        case "s":
            return snmp_messages.octets(value)
        case "x":
            return snmp_messages.octets(bytes.fromhex(value))
        case "o":
            return snmp_messages.oid(value.lstrip("."))
        case "a":
            return snmp_messages.tlv(
                snmp_messages.IP_ADDRESS, bytes(map(int, value.split(".")))
            )
        case "R":
            return bytes.fromhex(value)
        case "f":
            return snmp_messages.tlv(
                0x44, b"\x9fx\x04" + struct.pack(">f", float(value))
            )
        case "d":
            return snmp_messages.tlv(
                0x44, b"\x9fy\x08" + struct.pack(">d", float(value))
            )
    return snmp_messages.integer(int(value), _LETTERS[tag])


def _recorded(tag: str, value: str) -> bytes:
    in_hex = tag.endswith("x")
    number = int(tag.rstrip("x").split(":")[0])
    raw = bytes.fromhex(value) if in_hex else value.encode("utf-8", "surrogateescape")
    if number == snmp_messages.OID:
        return snmp_messages.oid(value.lstrip(".") or "0.0")
    if number == snmp_messages.IP_ADDRESS:
        octets = raw if in_hex else bytes(map(int, value.split(".")))
        return snmp_messages.tlv(snmp_messages.IP_ADDRESS, octets)
    if number in (2, 65, 66, 67, 70):
        return snmp_messages.integer(int(value or 0), number)
    return snmp_messages.tlv(number, raw)


class Unordered(SimulatedSwitch):
    """Lists LLDP neighbours in the order of their arrival, as Zyxel's agents do."""

    _REMOTE = (1, 0, 8802, 1, 1, 2, 1, 4, 1, 1)

    def rebuild(self) -> None:
        super().rebuild()
        size = len(self._REMOTE)
        table = [row for row in self._rows if row[:size] == self._REMOTE]
        self._order = sorted(table, key=lambda row: (row[size], -row[-2]))

    def after(self, row: snmp_messages.Oid) -> snmp_messages.Oid | None:
        order = self._order
        if row in order[:-1]:
            return order[order.index(row) + 1]
        if order and row == order[-1]:
            return super().after(max(order))
        following = super().after(row)
        return order[0] if following in order else following


_IF_X = (1, 3, 6, 1, 2, 1, 31, 1, 1)


class BrokenExtension(SimulatedSwitch):
    """Answers genErr to requests for ifXTable, as some old IOS releases do."""

    def reply(self, request: snmp_messages.SnmpRequest) -> bytes | None:
        rows = [snmp_messages.arcs_of(name) for name in request.names]
        if request.kind != snmp_messages.GET:
            rows = [self.after(row) or row for row in rows]
        if any(row[: len(_IF_X)] == _IF_X for row in rows):
            return snmp_messages.response(request, b"", snmp_messages.GEN_ERR, 1)
        return super().reply(request)


class SilentExtension(BrokenExtension):
    """Does not answer requests for ifXTable."""

    def reply(self, request: snmp_messages.SnmpRequest) -> bytes | None:
        answer = super().reply(request)
        refused = snmp_messages.response(request, b"", snmp_messages.GEN_ERR, 1)
        return None if answer == refused else answer


class NoBulkOfOneTable(SimulatedSwitch):
    """Loops if names are requested by GETBULK, and only then (Brocade IronWare's
    ifPhysAddress, TP-Link's DDM tables)."""

    def reply(self, request: snmp_messages.SnmpRequest) -> bytes | None:
        row = snmp_messages.arcs_of(request.names[0])
        if request.kind == snmp_messages.GET_BULK and row[: len(_IF_X)] == _IF_X:
            first = self.after(_IF_X)
            assert first is not None
            name = snmp_messages.oid_content(first)
            return snmp_messages.response(
                request, snmp_messages.bind(name, snmp_messages.octets("x")) * 5
            )
        return super().reply(request)


class OneAtATime(TooBig):
    """Can answer one variable per request (Grandstream, Opengear)."""

    limit = 1


class SkipsRows(SimulatedSwitch):
    """Leaves every third row of ifTable and ifXTable out of large GETBULKs."""

    def _walk(self, request: snmp_messages.SnmpRequest) -> bytes:
        if request.kind != snmp_messages.GET_BULK or request.second < 10:
            return super()._walk(request)
        binds, row = b"", snmp_messages.arcs_of(request.names[0])
        for _ in range(request.second):
            following = self.after(row)
            if following is None:
                break
            row = following
            name = snmp_messages.oid_content(row)
            if row[:8] not in ((1, 3, 6, 1, 2, 1, 2, 2), _IF_X[:8]) or row[-1] % 3:
                binds += snmp_messages.bind(name, self._values[name]())
        return snmp_messages.response(request, binds)


class NextIsLate(SimulatedSwitch):
    """Answers GETNEXT of sysObjectID with sysUpTime (Weathergoose); GET is right."""

    def _walk(self, request: snmp_messages.SnmpRequest) -> bytes:
        if snmp_messages.arcs_of(request.names[0])[:8] == (1, 3, 6, 1, 2, 1, 1, 2):
            name = snmp_messages.oid_content((1, 3, 6, 1, 2, 1, 1, 3, 0))
            return snmp_messages.response(
                request, snmp_messages.bind(name, self._values[name]())
            )
        return super()._walk(request)


class Padded(SimulatedSwitch):
    """Pads texts with NULs, and has no ifDescr (FortiGate, D-Link)."""

    def rebuild(self) -> None:
        super().rebuild()
        for port in self.ports:
            descr = snmp_messages.oid_content(
                (1, 3, 6, 1, 2, 1, 2, 2, 1, 2, port.index)
            )
            self._values[descr] = lambda: snmp_messages.octets("")
            name = snmp_messages.oid_content((*_IF_X, 1, 1, port.index))
            padded = snmp_messages.octets(port.name.encode() + bytes(4))
            self._values[name] = lambda padded=padded: padded  # type: ignore[misc]
