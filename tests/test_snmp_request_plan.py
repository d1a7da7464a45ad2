"""Requests of a poll: packed so that each answer is one frame, whatever the values."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.snmp import Credential, credential
from collectors.snmp.polling import request_plan
from collectors.snmp.polling.request_plan import FAST_COLUMNS, NAMES, Plan
from collectors.snmp.session import oids, v3_message
from collectors.snmp.session.ber import (
    COUNTER64,
    OID,
    SEQUENCE,
    integer,
    octets,
    oid_name,
    tlv,
)
from collectors.snmp.session.pdu import RESPONSE
from collectors.snmp.session.session import Value
from collectors.snmp.tables.interfaces import Columns, Port

# An Ethernet frame without the headers of IPv6 and UDP.
MOST = 1_500 - 40 - 8
SCALARS: dict[str, Value] = {oids.SYS_UP_TIME: 2**32 - 1, oids.IF_NUMBER: 500}
ENGINE = bytes(range(17))
USER = {"user": "towpath", "auth_password": "maplesyrup", "priv_password": "maplesyrup"}
CREDENTIALS = {
    "community": credential("a", {"community": "public"}),
    "long community": credential("a", {"community": "x" * 32}),
    "user": credential("a", USER),
    "user with DES": credential("a", {**USER, "auth": "sha512", "priv": "des"}),
    "user without encryption": credential(
        "a", {"user": "towpath", "auth_password": "maplesyrup"}
    ),
}


def columns_of(ports: int, first: int, value: int, name: str) -> Columns:
    """All columns of so many ports, with 64-bit counters of that value."""
    columns: Columns = {}
    for index in range(first, first + ports):
        for column in FAST_COLUMNS:
            columns.setdefault(column, {})[index] = value
        for column in NAMES:
            columns.setdefault(column, {})[index] = f"{name}{index}".encode()
    return columns


def plan_of(columns: Columns, given: Credential, varbinds: int = 80) -> Plan:
    ports = [
        Port(if_index=index, key=f"p{index}", stable=True)
        for index in columns[oids.IF_NAME]
    ]
    plans = request_plan.port_plans(ports, columns, SCALARS)
    room = request_plan.answer_octets(given, ENGINE)
    return request_plan.pack(plans, columns, SCALARS, room, varbinds)


def answers(plan: Plan) -> list[tuple[str, ...]]:
    """The OIDs of every GET that the plan sends."""
    if plan.slow_per_poll:
        return [*(get.oids for get in plan.fast), *plan.slow]
    *fast, last = (get.oids for get in plan.fast)
    return [*fast, *((*last, *slow) for slow in plan.slow or ((),))]


def message_octets(asked: tuple[str, ...], columns: Columns, given: Credential) -> int:
    """The size of the answer to a GET of `asked`."""
    binds = []
    for oid in asked:
        column, _, index = oid.rpartition(".")
        value = SCALARS[oid] if oid in SCALARS else columns[column][int(index)]
        assert isinstance(value, int | bytes)
        body = octets(value) if isinstance(value, bytes) else integer(value, COUNTER64)
        binds.append(tlv(SEQUENCE, tlv(OID, oid_name(oid)) + body))
    numbers = integer(2**31 - 1) + integer(0) + integer(0)
    pdu = tlv(RESPONSE, numbers + tlv(SEQUENCE, b"".join(binds)))
    if given.version == "2c":
        return len(tlv(SEQUENCE, integer(1) + octets(given.community) + pdu))
    scoped = v3_message.encode_scoped(ENGINE, b"", pdu)
    clock = v3_message.EngineTime(ENGINE, 2**31 - 1, 2**31 - 1)
    encrypted = given.priv != "none"
    user = given.user.encode()
    return len(
        v3_message.encode(
            2**31 - 1, clock, user, scoped, given, encrypted, reportable=False
        )
    )


@settings(max_examples=40)
@given(
    st.sampled_from(sorted(CREDENTIALS)),
    st.integers(1, 30),
    st.sampled_from([1, 100, 10_101, 436_207_616]),
    st.integers(0, 2**40),
    st.text("aé/", max_size=40),
)
def test_every_answer_is_one_frame(
    who: str, ports: int, first: int, value: int, name: str
) -> None:
    given = CREDENTIALS[who]
    columns = columns_of(ports, first, value, name)
    plan = plan_of(columns, given)
    for asked in answers(plan):
        assert message_octets(asked, columns, given) <= MOST
    # Each port is in one request, and so is each of its names.
    assert [p.port.if_index for get in plan.fast for p in get.plans] == list(
        columns[oids.IF_NAME]
    )
    every = itertools.chain(*(get.oids for get in plan.fast), *plan.slow)
    named = [oid for oid in every if oid.rpartition(".")[0] in NAMES]
    assert sorted(named) == sorted(
        f"{column}.{index}" for column in NAMES for index in columns[column]
    )


@pytest.mark.parametrize("who", ["community", "user"])
def test_fifty_ports_are_eleven_requests_in_every_version(who: str) -> None:
    columns = columns_of(50, 1, 0, "ge")
    for column in FAST_COLUMNS[:6]:
        columns[column] = dict.fromkeys(columns[column], 300)
    plan = plan_of(columns, CREDENTIALS[who])
    assert len(plan.fast) + plan.slow_per_poll <= 11


def test_names_ride_with_the_last_ports_where_these_leave_room() -> None:
    few = plan_of(columns_of(7, 1, 2**20, "ge"), CREDENTIALS["community"])
    assert [len(get.plans) for get in few.fast] == [5, 2]
    assert few.slow_per_poll == 0
    full = plan_of(columns_of(10, 1, 2**20, "ge"), CREDENTIALS["community"])
    assert [len(get.plans) for get in full.fast] == [5, 5]
    assert full.slow_per_poll == 1
