"""SNMP agents that fail at walks and at large requests, as real ones do."""

from __future__ import annotations

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
