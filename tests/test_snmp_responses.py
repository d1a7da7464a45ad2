"""Responses that are cut, damaged or refused are read as far as they go."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_switch import CREDENTIALS, LIBRARIES, ODD, OddSwitch, odd_switch
from secured_agent import USER

from collectors.snmp import credential
from collectors.snmp.session import oids, pdu
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.poll_budget import PollBudget
from collectors.snmp.session.session import Failed, RetryPolicy
from collectors.snmp.session.sessions import Sessions
from towpath.demo import snmp_messages


class CutList(OddSwitch):
    """The list of every answer to several names ends within a binding."""

    def reply(self, request: snmp_messages.SnmpRequest) -> bytes | None:
        answer = super().reply(request)
        if (
            answer is None
            or request.kind != snmp_messages.GET
            or len(request.names) < 3
        ):
            return answer
        at, end = snmp_messages.expect(answer, 0, len(answer), snmp_messages.SEQUENCE)
        head = snmp_messages.integer(request.version) + snmp_messages.octets(
            request.community
        )
        inside = answer[at + len(head) : end]
        start, stop = snmp_messages.expect(
            inside, 0, len(inside), snmp_messages.RESPONSE
        )
        # The message and its PDU have their stated length; their content has not.
        cut = snmp_messages.tlv(snmp_messages.RESPONSE, inside[start : stop - 9])
        return snmp_messages.tlv(snmp_messages.SEQUENCE, head + cut)


async def test_what_a_cut_list_left_out_is_requested_again() -> None:
    async with CutList("cut", 4) as agent, Sessions() as sessions:
        session = sessions.open(
            "127.0.0.1", agent.port_number, CREDENTIALS["v2c"], RetryPolicy((1.0,))
        )
        wanted = [f"{oids.IF_NAME}.{n}" for n in range(1, 5)]
        values = await DeviceSession(session, PollBudget(10)).get_all(wanted)
        session.close()
    assert [values[oid] for oid in wanted] == [
        b"Gi1/0/1",
        b"Gi1/0/2",
        b"Gi1/0/3",
        b"Gi1/0/4",
    ]


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize("version", CREDENTIALS)
async def test_a_walk_of_nothing_but_odd_values_ends(
    version: str, prefer_gufo: bool
) -> None:
    column = oids.IF_ALIAS
    odd = {f"{column}.{n}": b"\x06\x00" for n in range(1, 60)}
    async with OddSwitch("odd", 3, odd) as agent, Sessions(prefer_gufo) as sessions:
        session = sessions.open(
            "127.0.0.1", agent.port_number, CREDENTIALS[version], RetryPolicy((1.0,))
        )
        assert await DeviceSession(session, PollBudget(10)).walk(column) == {}
        assert len(session.unreadable.by_oid) == 59
        session.close()


@given(st.binary(max_size=120), st.integers(0, 3))
def test_any_octets_as_a_response_are_read_or_refused(
    octets: bytes, asked: int
) -> None:
    names = [f"1.3.6.1.2.1.1.{n}.0" for n in range(1, asked + 1)]
    body = (
        snmp_messages.integer(7) + snmp_messages.integer(0) + snmp_messages.integer(0)
    )
    for data in (
        octets,
        snmp_messages.tlv(snmp_messages.RESPONSE, octets),
        snmp_messages.tlv(
            snmp_messages.RESPONSE,
            body + snmp_messages.tlv(snmp_messages.SEQUENCE, octets),
        ),
    ):
        try:
            response = pdu.decode(data, 0, len(data), names)
        except snmp_messages.Malformed:
            continue
        assert all(bind.value is None for bind in response.binds if bind.fault)


@given(
    st.lists(st.sampled_from(sorted(ODD.values())), min_size=1, max_size=6),
    st.integers(0, 6),
)
def test_sound_values_are_read_wherever_they_are_among_odd_ones(
    odd: list[str], at: int
) -> None:
    binds = [
        snmp_messages.bind(
            snmp_messages.oid_content((1, 3, 6, n)), bytes.fromhex(value)
        )
        for n, value in enumerate(odd)
    ]
    binds.insert(
        at,
        snmp_messages.bind(
            snmp_messages.oid_content((1, 3, 7)), snmp_messages.integer(42)
        ),
    )
    body = (
        snmp_messages.integer(7) + snmp_messages.integer(0) + snmp_messages.integer(0)
    )
    data = snmp_messages.tlv(
        snmp_messages.RESPONSE,
        body + snmp_messages.tlv(snmp_messages.SEQUENCE, b"".join(binds)),
    )
    response = pdu.decode(data, 0, len(data))
    assert response.complete
    assert len(response.binds) == len(odd) + 1
    assert {bind.oid: bind.value for bind in response.binds}["1.3.7"] == 42


async def test_a_context_is_named_to_the_agent() -> None:
    held = msgspec.structs.replace(USER, context="vlan-7")
    async with odd_switch() as agent, Sessions() as sessions:
        session = sessions.open(
            "127.0.0.1", agent.port_number, held, RetryPolicy((1.0,))
        )
        assert await session.get([oids.SYS_UP_TIME])
        session.close()
    assert agent.contexts == {b"vlan-7"}


async def test_a_wrong_password_of_version_3_is_refused() -> None:
    held = credential(
        "test", {"user": "watcher", "auth_password": "anotherword", "priv": "none"}
    )
    async with odd_switch() as agent, Sessions() as sessions:
        session = sessions.open(
            "127.0.0.1", agent.port_number, held, RetryPolicy((0.5,))
        )
        with pytest.raises(Failed) as caught:
            await session.get([oids.SYS_UP_TIME])
        session.close()
    assert caught.value.outcome.value == "auth_failed"
