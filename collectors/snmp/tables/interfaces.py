"""The ports of a device from IF-MIB, and their stable names.

A port is identified by a stable name, because its ifIndex may change at every boot:
ifName if it is not empty and unique on the device, else ifDescr likewise, else
`if<ifIndex>`, which is marked as unstable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from sys import intern

import msgspec

from collectors.snmp.session import oids
from collectors.snmp.session.agent_limits import AgentLimits
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.octet_text import as_int, mac, text
from collectors.snmp.session.session import Failed, Value
from probes.wire.display import shortened

# ifSpeed is a Gauge32 that stays at its maximum for faster ports (RFC 2863).
IF_SPEED_TOP = 4_294_967_295
# Some agents give ifHighSpeed in bit/s, or as a number beyond the speed of any port.
_MOST_MBPS = 10_000_000
_MOST_DIGITS = 20

# ifAlias has up to 64 octets (RFC 2863), but some systems allow hundreds.
MAX_DESCRIPTION = 128

# A number of rows per request with which no known agent loses any.
_FEW = 5

SLOW = (
    oids.IF_NAME,
    oids.IF_ALIAS,
    oids.IF_DESCR,
    oids.IF_TYPE,
    oids.IF_SPEED,
    oids.IF_HIGH_SPEED,
    oids.IF_PHYS_ADDRESS,
)
FULL = (
    *SLOW,
    oids.IF_MTU,
    oids.IF_ADMIN_STATUS,
    oids.IF_OPER_STATUS,
    oids.IF_HC_IN_OCTETS,
    oids.IF_HC_OUT_OCTETS,
    oids.IF_IN_OCTETS,
    oids.IF_OUT_OCTETS,
    oids.IF_IN_ERRORS,
    oids.IF_OUT_ERRORS,
    oids.IF_IN_DISCARDS,
    oids.IF_OUT_DISCARDS,
    oids.IF_HC_IN_UCAST,
    oids.IF_HC_OUT_UCAST,
    oids.IF_IN_UCAST,
    oids.IF_OUT_UCAST,
    oids.DOT3_DUPLEX,
)

# 32-bit counters that are not needed of a port with these 64-bit ones.
WIDER = {
    oids.IF_IN_OCTETS: oids.IF_HC_IN_OCTETS,
    oids.IF_OUT_OCTETS: oids.IF_HC_OUT_OCTETS,
    oids.IF_IN_UCAST: oids.IF_HC_IN_UCAST,
    oids.IF_OUT_UCAST: oids.IF_HC_OUT_UCAST,
    oids.IF_IN_MCAST: oids.IF_HC_IN_MCAST,
    oids.IF_IN_BCAST: oids.IF_HC_IN_BCAST,
}

Columns = dict[str, dict[int, Value]]


class Port(msgspec.Struct, frozen=True, gc=False):
    """One row of ifTable and ifXTable. None means that the device gives no value."""

    if_index: int
    key: str
    stable: bool
    name: str | None = None
    descr: str | None = None
    alias: str | None = None
    type: int | None = None
    speed_bps: int | None = None
    mac: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return all names that people may use for the port."""
        names = (self.key, self.name, self.descr)
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def description(self) -> str:
        """Return what the engineers call the port (ifAlias), on one line.

        It is empty if nobody has described the port: many systems then repeat a name of
        the port, alone or as in `GigabitEthernet1/0/7 Interface`.
        """
        description = " ".join((self.alias or "").split())
        plain = description.casefold().removesuffix(" interface")
        if any(plain == " ".join(name.casefold().split()) for name in self.names):
            return ""
        return shortened(description, MAX_DESCRIPTION)


class PortCells(msgspec.Struct):
    """The cells of all ports by column and ifIndex, as far as they are read.

    `indexes` are the ports that exist; of the first `read` of them all is read.
    """

    columns: Columns = {}
    indexes: list[int] = []
    read: int = 0

    def instances(
        self, unanswered: Iterable[str], columns: Container[str]
    ) -> list[str]:
        """An instance of each of `unanswered`, some of which are `columns`."""
        return [
            f"{oid}.{self.indexes[0]}" if oid in columns else oid
            for oid in dict.fromkeys(unanswered)
            if self.indexes
        ]


async def read_columns(
    snmp: DeviceSession,
    columns: tuple[str, ...],
    expected: int | None = None,
    cells: PortCells | None = None,
) -> Columns:
    """Read the columns of all ports, by column and ifIndex. Raises `Failed`; what was
    read until then is in `cells`.

    Walks of three columns find the instances, because agents omit rows from one column
    or skip them at high repetitions. If there are fewer than `expected` (ifNumber), a
    fourth column is walked a few rows at a time. GETs read the other columns. A v1
    agent refuses a whole GET for one missing instance, so there every column is walked.
    """
    so_far = cells or PortCells()
    so_far.columns = {}
    so_far.read = 0
    values = so_far.columns
    walked: tuple[str, ...] = (oids.IF_DESCR, oids.IF_NAME, oids.IF_OPER_STATUS)
    if snmp.is_v1:
        walked += tuple(c for c in columns if c not in walked)
    for column in walked:
        values[column] = await _walk_column(snmp, column)
    indexes = sorted(set().union(*values.values()))
    if expected is not None and 0 < len(indexes) < expected:
        few = snmp.with_limits(AgentLimits(repetitions=_FEW))
        values[oids.IF_INDEX] = await _walk_column(few, oids.IF_INDEX)
        indexes = sorted(set().union(*values.values()))
    if not indexes:
        values[oids.IF_INDEX] = await _walk_column(snmp, oids.IF_INDEX)
        indexes = sorted(values[oids.IF_INDEX])
    so_far.indexes = indexes
    if not snmp.is_v1 and indexes:
        columns = await _accepted_columns(snmp, columns, indexes[0])
        await _get_cells(snmp, columns, so_far)
    so_far.read = len(indexes)
    return values


async def _get_cells(
    snmp: DeviceSession, columns: tuple[str, ...], so_far: PortCells
) -> None:
    """Read the cells that the walks did not bring, as many at a time as the agent can,
    port by port."""
    values = so_far.columns
    todo = [
        (f"{column}.{index}", n)
        for n, index in enumerate(so_far.indexes)
        for column in columns
        if column not in WIDER and index not in values.get(column, ())
    ]
    # 32-bit counters of ports that turn out to have no others.
    narrow: list[tuple[str, int]] = []
    asked = 0
    while todo or narrow:
        fits = max(1, snmp.limits.varbinds - 1)
        source = narrow if len(narrow) >= fits or not todo else todo
        some = source[:fits]
        del source[: len(some)]
        for oid, value in (await snmp.get_all([oid for oid, _ in some])).items():
            column, _, index = oid.rpartition(".")
            if column in columns:
                values.setdefault(column, {})[int(index)] = value
        if source is todo:
            before, asked = asked, todo[0][1] if todo else len(so_far.indexes)
            narrow += [
                (f"{column}.{so_far.indexes[n]}", n)
                for n in range(before, asked)
                for column in columns
                if column in WIDER
                and so_far.indexes[n] not in values.get(WIDER[column], ())
            ]
        so_far.read = narrow[0][1] if narrow else asked


async def _accepted_columns(
    snmp: DeviceSession,
    columns: tuple[str, ...],
    index: int,
) -> tuple[str, ...]:
    """Return those of `columns` that the agent accepts.

    Some agents answer a whole GET with an error because of one broken table (ifXTable
    of old Cisco IOS). Together with good columns, that would look like an agent that
    accepts only one variable at a time.
    """
    # Two tries, so that a lost packet does not cost a column.
    if await snmp.accepts([f"{column}.{index}" for column in columns], 2):
        return columns
    good = []
    for column in columns:
        if await snmp.accepts([f"{column}.{index}"], 2):
            good.append(column)
    # If all are refused, the agent accepts only one variable at a time.
    return tuple(good) or columns


async def _walk_column(snmp: DeviceSession, column: str) -> dict[int, Value]:
    repetitions = snmp.limits.repetitions
    try:
        rows = await snmp.walk(column)
    except Failed as failed:
        # One broken column does not affect the others; a silent device does.
        await snmp.pass_over(column, failed)
        # The table was the reason, not the number of repetitions.
        snmp.limits.repetitions = repetitions
        return {}
    cells = {}
    for oid, value in rows.items():
        index = oids.tail(oid, column)
        if index.isdecimal():
            cells[int(index)] = value
    return cells


def parse_ports(columns: Columns) -> list[Port]:
    """Return the ports in order of ifIndex, with their stable names. Pure."""

    def cell(column: str, index: int) -> Value | None:
        return columns.get(column, {}).get(index)

    indexes = sorted(set().union(*columns.values())) if columns else []
    # Interned, because switches of one make have the same port names.
    names = {i: intern(text(cell(oids.IF_NAME, i)) or "") for i in indexes}
    descrs = {i: intern(text(cell(oids.IF_DESCR, i)) or "") for i in indexes}
    keys = port_keys(names, descrs)
    return [
        Port(
            if_index=i,
            key=keys[i][0],
            stable=keys[i][1],
            name=names[i] if cell(oids.IF_NAME, i) is not None else None,
            descr=descrs[i] if cell(oids.IF_DESCR, i) is not None else None,
            alias=text(cell(oids.IF_ALIAS, i)),
            type=as_int(cell(oids.IF_TYPE, i)),
            speed_bps=speed_bps(cell(oids.IF_SPEED, i), cell(oids.IF_HIGH_SPEED, i)),
            mac=mac(cell(oids.IF_PHYS_ADDRESS, i)),
        )
        for i in indexes
    ]


def port_keys(
    names: Mapping[int, str], descrs: Mapping[int, str]
) -> dict[int, tuple[str, bool]]:
    """Return by ifIndex the port's key, and whether it survives a renumbering. Pure.

    No two ports share a key: if a name is also another port's ifDescr, or has the form
    `if7`, the port with that ifName gets it.
    """
    name_count, descr_count = Counter(names.values()), Counter(descrs.values())
    keys: dict[int, tuple[str, bool]] = {}
    taken: set[str] = set()
    for index, name in names.items():
        if name and name_count[name] == 1:
            keys[index] = (name, True)
            taken.add(name)
    for index, descr in descrs.items():
        if index in keys:
            continue
        if descr and descr_count[descr] == 1 and descr not in taken:
            keys[index] = (descr, True)
            taken.add(descr)
    for index in names.keys() | descrs.keys():
        if index not in keys:
            key = f"if{index}"
            while key in taken:
                key += "_"
            keys[index] = (key, False)
            taken.add(key)
    return keys


def speed_bps(slow: Value | None, high: Value | None) -> int | None:
    """Return the port's speed from ifSpeed (bit/s) and ifHighSpeed (Mbit/s). Pure.

    ifHighSpeed is used above 20 Mbit/s. ifSpeed is used below, because it has fractions
    of a Mbit/s, and if ifHighSpeed is 0, missing or absurd: some firmware repeats
    ifSpeed in it. Some gives numbers as texts.
    """
    slow, high = _whole_number(slow), _whole_number(high)
    bps = slow if slow is not None and slow > 0 else None
    mbps = high if high is not None and 0 < high <= _MOST_MBPS else None
    if bps is not None and mbps is not None and bps == mbps * 1000:
        # ifSpeed is in kbit/s (Ericsson radios).
        bps = None
    if bps is not None and mbps is not None and mbps == bps:
        # The same number in both must be in bit/s (Cisco SG350X 2.5.5.47).
        mbps = None
    if mbps is not None and (bps is None or bps >= 20_000_000):
        return mbps * 1_000_000
    if bps is not None and bps != IF_SPEED_TOP:
        return bps
    if mbps is not None:
        return mbps * 1_000_000
    if high == 0 or slow == 0:
        return 0
    return None


def _whole_number(value: Value | None) -> int | None:
    if isinstance(value, bytes) and value.isdigit() and len(value) <= _MOST_DIGITS:
        return int(value)
    return as_int(value)
