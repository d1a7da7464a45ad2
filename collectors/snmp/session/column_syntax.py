"""Which columns of the standard MIBs hold octets, and which hold numbers.

A value of the wrong type is a fault only if it makes no sense: an OID or an IPv4
address is not a name, and neither text nor an address is a counter or a state. A number
in place of a text is shown as it is, and so is a speed in digits.
"""

from __future__ import annotations

from collectors.snmp.session import oids
from collectors.snmp.session.session import Value

_IF, _IFX = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
_ENTITY, _VLAN = "1.3.6.1.2.1.47.1.1.1.1", "1.3.6.1.2.1.17.7.1.4.3.1"
_IEEE_VLAN = "1.3.111.2.802.1.1.4.1.4.3.1"
_LLDP_LOCAL, _LLDP_REMOTE = "1.0.8802.1.1.2.1.3.7.1", oids.LLDP_REM_TABLE
_STORAGE, _SENSOR = "1.3.6.1.2.1.25.2.3.1", "1.3.6.1.2.1.99.1.1.1"
# By table: the columns of octets (texts, physical addresses), and those of numbers.
_TABLES: dict[str, tuple[range | tuple[int, ...], range | tuple[int, ...]]] = {
    "1.3.6.1.2.1.1": ((1, 4, 5, 6), (3, 7)),
    _IF: ((2, 6), (1, 3, 4, 5, *range(7, 21))),
    _IFX: ((1, 18), (*range(2, 16), 19)),
    _ENTITY: ((2, 7, 8, 9, 10, 11, 12, 13), (4, 5, 6)),
    _VLAN: ((1,), ()),
    _IEEE_VLAN: ((3,), ()),
    _LLDP_LOCAL: ((3, 4), (2,)),
    _LLDP_REMOTE: ((5, 7, 8, 9, 10, 11, 12), (4, 6)),
    _STORAGE: ((3,), (4, 5, 6)),
    _SENSOR: ((6,), (1, 2, 3, 4, 5)),
}
_COLUMNS = {
    f"{table}.{column}": kind
    for table, (texts, numbers) in _TABLES.items()
    for kind, columns in (("octets", texts), ("a number", numbers))
    for column in columns
}
# Speeds that some agents give as digits.
_SPEEDS = {f"{_IF}.5", f"{_IFX}.15"}
_TABLE_LENGTHS = sorted({len(table) for table in _TABLES})


def type_mismatch(oid: str, value: Value | None) -> str:
    """Why `value` cannot be that of `oid`; "" if it can, or the MIB is not listed."""
    if type(value) is not str and type(value) is not bytes:
        return ""
    for length in _TABLE_LENGTHS:
        if oid[length : length + 1] != "." or oid[:length] not in _TABLES:
            continue
        column = f"{oid[:length]}.{oid[length + 1 :].partition('.')[0]}"
        kind = _COLUMNS.get(column)
        if kind is None or (kind == "octets" and type(value) is bytes):
            return ""
        if type(value) is bytes and value.isdigit() and column in _SPEEDS:
            return ""
        actual = "octets" if type(value) is bytes else "an OID or an IPv4 address"
        return f"{actual} instead of {kind}"
    return ""
