"""Examples for the OpenAPI document: each fits its type, and the bodies of requests are
ones that a program would send. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_TIME = "2026-11-20T09:00:00Z"
# By the name of a field; used if the value fits the type of the field.
_VALUES: Mapping[str, Any] = {
    "id": "town-hall",
    "key": "line_down town-hall",
    "name": "Town Hall",
    "title": "Line down",
    "site": "town-hall",
    "device": "core-1",
    "port": "Gi1/0/1",
    "remote_port": "Gi1/0/24",
    "remote_device": "access-2",
    "supplier": "BT",
    "role": "access",
    "address": "192.0.2.7",
    "description": "to the comms room",
    "figures": {"mos": 4.2},
    "why": "new switch",
    "who": "Ada Lovelace",
    "team": "planning",
    "group": "planning",
    "ring": "early",
    "rule": "line_down",
    "measurement": "interface",
    "unit": "bps",
    "kind": "html",
    "supplier_role": "main",
    "version": "1.0.0",
    "openapi": "/api/v1/openapi.json",
    "lasts": "2h",
    "start": "2026-12-01 22:00",
    "rrule": "FREQ=MONTHLY;BYDAY=1TU",
    "every_s": 900.0,
    "subject": {"line": "town-hall-main"},
    "scope": {"site": "town-hall"},
    "units": {"in_bps_p95": "bps"},
    "values": {"in_bps_p95": 182000000.0},
    "tags": {"port": "Gi1/0/1"},
    "software": "0.1.0",
}
# What a program sends: not every field at once.
BODY_EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "acknowledge_alert": {"who": "Ada Lovelace", "why": "supplier rung"},
    "add_silence": {
        "site": "depot",
        "lasting_s": 7200,
        "why": "new switch",
        "who": "Ada Lovelace",
    },
    "plan_maintenance": {
        "site": "depot",
        "why": "patch evening",
        "start": "2026-12-01 22:00",
        "lasts": "2h",
        "rrule": "FREQ=MONTHLY;BYDAY=1TU",
        "who": "Ada Lovelace",
    },
    "place_agent": {"team": "", "ring": "early"},
    "revoke_agent": {"why": "lost on a train"},
    "make_enrolment_token": {"site": "depot", "uses": 20, "days": 7},
}


def example_of(kind: Any) -> Any:
    """A value of JSON that fits a type."""
    return _example(msgspec.inspect.type_info(kind))


def _example(kind: msgspec.inspect.Type) -> Any:
    inspect = msgspec.inspect
    if isinstance(kind, inspect.Metadata):
        return _example(kind.type)
    if isinstance(kind, inspect.StructType):
        return {f.encode_name: _field(f.encode_name, f.type) for f in kind.fields}
    if isinstance(kind, inspect.UnionType):
        some = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        return _example(some[0])
    if isinstance(kind, inspect.EnumType):
        return next(iter(kind.cls)).value
    if isinstance(kind, inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, inspect.DateTimeType):
        return _TIME
    if isinstance(kind, inspect.ListType | inspect.VarTupleType):
        return [_example(kind.item_type)]
    if isinstance(kind, inspect.DictType):
        return {_example(kind.key_type): _example(kind.value_type)}
    for known, value in ((inspect.BoolType, True), (inspect.IntType, 1)):
        if isinstance(kind, known):
            return value
    return 0.5 if isinstance(kind, inspect.FloatType) else "text"


def _field(name: str, kind: msgspec.inspect.Type) -> Any:
    value, usual = _VALUES.get(name), _example(kind)
    # Such as `id`, which is a number in some documents, and `kind`, one of a few words.
    is_free = usual == "text" or not isinstance(usual, str)
    return value if is_free and type(value) is type(usual) else usual
