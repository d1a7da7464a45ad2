"""Datagrams are decoded as far as possible, and no octets do harm."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest
import services
from encoded_traps import link_down, make_senders, trap, v1_trap, v3_trap
from hypothesis import given, settings
from hypothesis import strategies as st
from trap_harness import receiving

from collectors.snmp.session import ber
from collectors.snmp.traps import trap_message
from collectors.snmp.traps.trap_message import INFORM, TRAP_V1
from collectors.snmp.traps.trap_senders import REASONS
from collectors.snmp.traps.usm import TrapRefused

VALID = [link_down(7), v1_trap(2, 0), v1_trap(6, 5), v3_trap()]


@pytest.mark.parametrize("generic", range(6))
def test_v1s_generic_traps_are_v2s(generic: int) -> None:
    # RFC 3584 section 3.1 (2)
    decoded = trap_message.decode(v1_trap(generic, 0)).pdu
    assert decoded.trap == f"1.3.6.1.6.3.1.1.5.{generic + 1}"
    assert decoded.address == "10.1.2.3"
    assert decoded.binds[-1].value == "1.3.6.1.4.1.318"


def test_enterprise_traps_of_v1_get_a_zero_in_their_oid() -> None:
    assert trap_message.decode(v1_trap(6, 5)).pdu.trap == "1.3.6.1.4.1.318.0.5"


@given(
    st.sampled_from(VALID),
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 255), st.integers(0, 3)),
        min_size=1,
        max_size=6,
    ),
)
@settings(max_examples=600, deadline=None)
def test_changed_octets_are_refused_or_read(
    sound: bytes, changes: list[tuple[int, int, int]]
) -> None:
    data = bytearray(sound)
    for at, octet, how in changes:
        at %= max(1, len(data))
        if how == 0:
            data[at : at + 1] = bytes((octet,))
        elif how == 1:
            del data[at:]
        elif how == 2:
            data[at:at] = bytes((octet,)) * (octet % 5)
        else:
            del data[at : at + octet % 9]
    _authenticate(bytes(data))


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_octets_are_refused(data: bytes) -> None:
    _authenticate(data)


@given(st.integers(1, 200), st.integers(0, 2**64))
def test_numbers_are_read_as_written(tag: int, number: int) -> None:
    made = ber.integer(number, ber.COUNTER64)
    _, start, stop = ber.read(made, 0, len(made))
    assert int.from_bytes(made[start:stop], "big") == number


@given(st.lists(st.integers(0, 2**32 - 1), max_size=40))
def test_oids_are_read_as_written(arcs: list[int]) -> None:
    text = ".".join(map(str, (1, 3, *arcs)))
    made = ber.oid(text)
    start, stop = ber.expect(made, 0, len(made), ber.OID)
    assert ber.oid_text(made[start:stop]) == text


@given(
    st.binary(max_size=12)
    | st.lists(st.sampled_from([0, 1, 0x2B, 0x7F, 0x80, 0xFF]), max_size=9).map(bytes)
)
def test_oids_decode_alike_as_text_and_as_arcs(content: bytes) -> None:
    try:
        arcs = ber.arcs_of(content)
    except ber.Malformed:
        with pytest.raises(ber.Malformed):
            ber.oid_text(content)
    else:
        assert ber.oid_text(content) == ".".join(map(str, arcs))
        assert all(arc >> 32 == 0 for arc in arcs[1:])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80\0\0",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x89" + b"\xff" * 9,
        b"\x1f\xff" * 40,
        b"\x30\x82\x00\x05" + b"\x30" * 5,
        b"\x30" * 60_000,
        # Truncated before the trap's OID.
        link_down(1)[:40],
    ],
)
def test_bad_lengths_are_refused(data: bytes) -> None:
    with pytest.raises(TrapRefused) as refused:
        make_senders().authenticate(data, "127.0.0.1", 0.0)
    assert refused.value.reason == "malformed"


IF_INDEX, IF_DESCR = "1.3.6.1.2.1.2.2.1.1.7", "1.3.6.1.2.1.2.2.1.2.7"
BINDS = [
    ber.tlv(ber.SEQUENCE, ber.oid(name) + value)
    for name, value in (
        (trap_message.SYS_UP_TIME, ber.integer(100, ber.TICKS)),
        (trap_message.SNMP_TRAP_OID, ber.oid("1.3.6.1.6.3.1.1.5.3")),
        (IF_INDEX, ber.integer(7)),
        (IF_DESCR, ber.octets("Gi1/0/7")),
    )
]


def notification(kind: int, binds: bytes) -> bytes:
    """Encode a v1 trap, v2c trap or inform about a link with the list `binds`."""
    if kind == TRAP_V1:
        body = (
            ber.oid("1.3.6.1.4.1.9.1.1")
            + ber.tlv(ber.IP_ADDRESS, bytes((10, 1, 2, 3)))
            + ber.integer(2)
            + ber.integer(0)
            + ber.integer(100, ber.TICKS)
        )
        version = trap_message.V1
    else:
        body, version = ber.integer(9) + ber.integer(0) * 2, trap_message.V2C
    return trap_message.encode_message(version, b"public", ber.tlv(kind, body + binds))


def variable_list(kind: int) -> bytes:
    return b"".join(BINDS[2:] if kind == TRAP_V1 else BINDS)


def variables(pdu: trap_message.TrapPdu) -> dict[str, object]:
    return {
        bind.oid: bind.value
        for bind in pdu.binds
        if bind.oid != trap_message.SNMP_TRAP_ENTERPRISE
    }


KINDS = pytest.mark.parametrize(
    "kind", [TRAP_V1, trap_message.TRAP_V2, INFORM], ids=["v1", "v2c", "inform"]
)
WHOLE = {IF_INDEX: 7, IF_DESCR: b"Gi1/0/7"}


def is_read_as_far_as_possible(pdu: trap_message.TrapPdu) -> bool:
    """The trap is known, complete variables are read, and the rest counts as lost."""
    decoded = variables(pdu)
    whole = decoded == WHOLE and pdu.lost == 0
    fewer = decoded.items() < WHOLE.items() and (pdu.lost == 1 or not decoded)
    return pdu.trap == "1.3.6.1.6.3.1.1.5.3" and (whole or fewer)


@KINDS
def test_a_truncated_datagram_keeps_its_complete_variables(kind: int) -> None:
    full = notification(kind, ber.tlv(ber.SEQUENCE, variable_list(kind)))
    assert is_read_as_far_as_possible(trap_message.decode(full).pdu)
    kept = 0
    for size in range(len(full)):
        try:
            pdu = trap_message.decode(full[:size]).pdu
        except ber.Malformed:
            # Only if it is truncated before the trap's OID.
            assert not kept
            continue
        assert is_read_as_far_as_possible(pdu), size
        kept += 1
    last = len(BINDS[-1]) if kind != TRAP_V1 else len(variable_list(kind))
    assert kept >= last
    pdu = trap_message.decode(full[:-1]).pdu
    assert (variables(pdu), pdu.lost) == ({IF_INDEX: 7}, 1)


@KINDS
def test_a_truncated_list_in_a_valid_message_keeps_its_complete_variables(
    kind: int,
) -> None:
    binds = ber.tlv(ber.SEQUENCE, variable_list(kind))
    for cut in range(1, len(BINDS[-1])):
        pdu = trap_message.decode(notification(kind, binds[:-cut])).pdu
        assert (variables(pdu), pdu.lost) == ({IF_INDEX: 7}, 1)
    short = trap_message.decode(
        notification(kind, ber.tlv(ber.SEQUENCE, variable_list(kind)[:-3]))
    )
    assert (variables(short.pdu), short.pdu.lost) == ({IF_INDEX: 7}, 1)


@KINDS
def test_only_a_variable_that_cannot_be_read_is_lost(kind: int) -> None:
    odd = ber.tlv(ber.SEQUENCE, b"\x06\x02\x2b\x86" + ber.integer(1))
    binds = ber.tlv(ber.SEQUENCE, odd + variable_list(kind) + odd)
    pdu = trap_message.decode(notification(kind, binds)).pdu
    assert (variables(pdu), pdu.lost) == (WHOLE, 2)


def test_a_v1_trap_without_its_list_is_accepted() -> None:
    pdu = trap_message.decode(notification(TRAP_V1, b"")).pdu
    assert (pdu.trap, pdu.uptime, pdu.lost) == ("1.3.6.1.6.3.1.1.5.3", 100, 0)
    assert variables(pdu) == {}


def test_the_response_to_a_truncated_inform_has_its_complete_variables() -> None:
    full = notification(INFORM, ber.tlv(ber.SEQUENCE, variable_list(INFORM)))
    pdu = trap_message.decode(full[:-1]).pdu
    assert pdu.raw_binds == b"".join(BINDS[:-1])
    assert trap_message.decode(full).pdu.raw_binds == variable_list(INFORM)


@KINDS
async def test_a_truncated_trap_is_an_event_of_its_port_and_counted(kind: int) -> None:
    full = notification(kind, ber.tlv(ber.SEQUENCE, variable_list(kind)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        sender.settimeout(10)
        async with receiving(names={7: "Gi1/0/7"}) as running:
            sender.sendto(full[:-1], ("127.0.0.1", running.receiver.inbox.port))
            await running.until({"link_down": 1})
            if kind == INFORM:
                answer = await asyncio.to_thread(sender.recv, 1_500)
                assert b"".join(BINDS[:-1]) in answer
            assert running.stats["incomplete"] == 1
            assert running.stats["malformed"] == 0
    (row,) = running.journal.rows("link_down")
    assert row.tags["port"] == "Gi1/0/7"


def test_variables_are_read_up_to_a_limit() -> None:
    decoded = trap_message.decode(
        trap("1.3.6.1.4.1.9.9", *[(f"1.3.6.{n}", ber.integer(n)) for n in range(900)])
    )
    assert len(decoded.pdu.binds) <= trap_message.MAX_BINDS


@pytest.mark.corpus
def test_mutated_packets_of_real_captures_do_no_harm() -> None:
    folder = services.corpus("pcap")
    packets = [
        payload
        for file in sorted(folder.glob("*snmp*.pcap"))
        for payload in _payloads(file.read_bytes())
    ]
    assert len(packets) > 20
    traps = 0
    for packet in packets:
        with contextlib.suppress(ber.Malformed):
            traps += trap_message.decode(packet).pdu.kind in (TRAP_V1, INFORM)
        for at in range(0, len(packet), max(1, len(packet) // 60)):
            for change in (b"\0", b"\xff", b"\x80", b"\x30", b""):
                _authenticate(packet[:at] + change + packet[at + 1 :])
            _authenticate(packet[:at])
    assert traps >= 1


def _authenticate(data: bytes) -> None:
    """Authenticate `data`; no exception but `TrapRefused` is allowed."""
    refused: TrapRefused | None = None
    try:
        _SENDERS.authenticate(data, "127.0.0.1", 0.0)
    except TrapRefused as error:
        refused = error
    if refused is not None:
        assert refused.reason in (*REASONS, "discovery")
        assert len(refused.report) < 300


_SENDERS = make_senders()


def _payloads(data: bytes) -> Iterator[bytes]:
    """Yield the UDP payloads of a classic pcap file over Ethernet or raw IP."""
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    (link,) = struct.unpack_from(f"{order}I", data, 20)
    at = 24
    while at + 16 <= len(data):
        (size,) = struct.unpack_from(f"{order}I", data, at + 8)
        frame = data[at + 16 : at + 16 + size]
        at += 16 + size
        packet = frame[14:] if link == 1 else frame
        if packet[:1] and packet[0] >> 4 == 4 and packet[9:10] == b"\x11":
            yield packet[(packet[0] & 15) * 4 + 8 :]
