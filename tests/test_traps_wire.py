"""The octets: real ones are understood, and no octets whatever do harm."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import services
from hypothesis import given, settings
from hypothesis import strategies as st
from test_traps_storm import link_down, trap
from trap_senders import ESTATE, receiving

from collectors.snmp import credential
from collectors.snmp.session import ber, usm_keys, v3_message
from collectors.snmp.traps import TrapsConfig, trap_message
from collectors.snmp.traps.local_engine import Engine
from collectors.snmp.traps.trap_message import INFORM, TRAP_V1
from collectors.snmp.traps.trap_senders import REASONS, TrapSenders
from collectors.snmp.traps.usm import UsmRefused

USER = credential(
    "u",
    {"user": "towpath", "auth_password": "maplesyrup", "priv_password": "maplesyrup"},
)
PLAIN = credential("p", {"community": "public"})


def door() -> TrapSenders:
    engine = Engine(None, "8000000001020304", 0.0, 0.0)
    return TrapSenders(TrapsConfig(port=0), lambda: ESTATE, [USER, PLAIN], engine)


def v1_trap(generic: int, specific: int) -> bytes:
    pdu = ber.tlv(
        TRAP_V1,
        ber.oid("1.3.6.1.4.1.318")
        + ber.tlv(ber.IP_ADDRESS, bytes((10, 1, 2, 3)))
        + ber.integer(generic)
        + ber.integer(specific)
        + ber.integer(100, ber.TICKS)
        + ber.tlv(ber.SEQUENCE, b""),
    )
    return trap_message.encode_plain(trap_message.V1, b"public", pdu)


def v3_trap() -> bytes:
    return _v3(b"\x80\0\0\0\x05far", 3, 99)


def _v3(engine_id: bytes, boots: int, time: int) -> bytes:
    inner = trap("1.3.6.1.6.3.1.1.5.3")
    start, end = ber.expect(inner, 0, len(inner), ber.SEQUENCE)
    _, at = ber.read_integer(inner, start, end)
    _, at = ber.read_octets(inner, at, end)
    inside = v3_message.encode_inside(engine_id, b"", inner[at:end])
    return v3_message.encode(7, engine_id, boots, time, b"towpath", inside, USER, True)


SOUND = [link_down(7), v1_trap(2, 0), v1_trap(6, 5), v3_trap()]


@pytest.mark.parametrize("generic", range(6))
def test_v1s_generic_traps_are_v2s(generic: int) -> None:
    # RFC 3584 section 3.1 (2)
    found = trap_message.decode(v1_trap(generic, 0)).pdu
    assert found.trap == f"1.3.6.1.6.3.1.1.5.{generic + 1}"
    assert found.address == "10.1.2.3"
    assert found.binds[-1].value == "1.3.6.1.4.1.318"


def test_v1s_own_traps_are_named_below_a_zero() -> None:
    assert trap_message.decode(v1_trap(6, 5)).pdu.trap == "1.3.6.1.4.1.318.0.5"


def test_keys_are_those_of_the_standard() -> None:
    # RFC 3414 appendix A.3.2 and A.5.2; RFC 3826 takes its first 16 octets.
    engine = bytes.fromhex("000000000000000000000002")
    key = usm_keys.stretch(b"maplesyrup", "sha1")
    assert key.hex() == "9fb5cc0381497b3793528939ff788d5d79145211"
    assert (
        usm_keys.localise(key, engine, "sha1").hex()
        == "6695febc9288e36282235fc7151f128497b38f3f"
    )
    md5 = usm_keys.localise(usm_keys.stretch(b"maplesyrup", "md5"), engine, "md5")
    assert md5.hex() == "526f5eed9fcce26f8964c2930787d82b"


def test_a_sealed_trap_opens_once() -> None:
    doorkeeper = door()
    admitted = doorkeeper.admit(v3 := v3_trap(), "127.0.0.1", 0.0)
    assert admitted.device.id == "core-1"
    assert admitted.pdu.trap == "1.3.6.1.6.3.1.1.5.3"
    with pytest.raises(UsmRefused) as again:
        doorkeeper.admit(v3, "127.0.0.1", 1.0)
    assert again.value.reason == "repeated"


def test_a_senders_clock_may_not_go_back() -> None:
    engine = Engine(None, "", 0.0, 0.0)
    assert engine.hear("10.0.0.1", b"far", 3, 1_000, 0.0)
    assert engine.hear("10.0.0.1", b"far", 3, 900, 1.0)
    assert not engine.hear("10.0.0.1", b"far", 3, 840, 1.0)
    assert not engine.hear("10.0.0.1", b"far", 2, 9_000, 1.0)
    # Its clock is taken to go on while nothing is heard.
    assert not engine.hear("10.0.0.1", b"far", 3, 1_000, 500.0)
    assert engine.hear("10.0.0.1", b"far", 4, 0, 500.0)
    # A clone elsewhere has a clock of its own.
    assert engine.hear("10.0.0.2", b"far", 1, 5, 500.0)


def test_an_engine_id_of_two_devices_is_said_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = Engine(None, "", 0.0, 0.0)
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"):
        engine.hear(address, b"clone", 1, 5, 0.0)
    assert engine.addresses(b"clone") == ["10.0.0.1", "10.0.0.2"]
    assert capsys.readouterr().out.count("traps_engine_id_shared") == 1


def test_a_device_at_an_unknown_address_is_known_by_its_engine() -> None:
    doorkeeper = door()
    far = b"\x80\0\0\0\x05far"
    with pytest.raises(UsmRefused) as stranger:
        doorkeeper.admit(v3_trap(), "10.77.0.1", 0.0)
    assert stranger.value.reason == "unknown_source"
    doorkeeper.admit(_v3(far, 3, 100), "127.0.0.1", 1.0)
    admitted = doorkeeper.admit(_v3(far, 3, 101), "10.77.0.1", 2.0)
    assert admitted.device.id == "core-1"
    # v2c has no such proof.
    with pytest.raises(UsmRefused):
        doorkeeper.admit(link_down(1), "10.77.0.1", 3.0)


def test_relays_and_further_addresses_are_configured() -> None:
    config = TrapsConfig.model_validate(
        {"port": 0, "addresses": {"10.9.0.1": "core-1"}, "forwarders": ["10.8.0.0/24"]}
    )
    engine = Engine(None, "", 0.0, 0.0)
    doorkeeper = TrapSenders(config, lambda: ESTATE, [PLAIN], engine)
    assert doorkeeper.admit(link_down(1), "10.9.0.1", 0.0).device.id == "core-1"
    said = (
        trap_message.SNMP_TRAP_ADDRESS,
        ber.tlv(ber.IP_ADDRESS, bytes((10, 9, 9, 9))),
    )
    relayed = trap("1.3.6.1.6.3.1.1.5.1", said)
    assert doorkeeper.admit(relayed, "10.8.0.7", 0.0).device.id == "far-1"
    # A relay that does not say for whom it speaks speaks for nobody.
    with pytest.raises(UsmRefused):
        doorkeeper.admit(link_down(1), "10.8.0.7", 0.0)


def test_boots_count_restarts_and_the_engine_id_stays(tmp_path: Path) -> None:
    file = tmp_path / "traps.json"
    first = Engine(file, "", 0.0, 1_000.0)
    first.hear("10.0.0.1", b"far", 3, 1_000, 10.0)
    first.write(first.kept(10.0, 1_010.0))
    second = Engine(file, "", 5.0, 1_500.0)
    assert (second.id, second.boots) == (first.id, first.boots + 1)
    # 490 s have passed: what was heard then is a replay now.
    assert not second.hear("10.0.0.1", b"far", 3, 1_000, 5.0)
    assert second.hear("10.0.0.1", b"far", 3, 1_490, 5.0)
    file.write_text("{")
    assert Engine(file, "", 0.0, 0.0).boots == 1


@given(
    st.sampled_from(SOUND),
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
    _admit(bytes(data))


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_octets_are_refused(data: bytes) -> None:
    _admit(data)


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
def test_an_oid_is_the_same_as_text_and_as_arcs(content: bytes) -> None:
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
        # Cut off before it says what happened.
        link_down(1)[:40],
    ],
)
def test_bad_lengths_are_refused(data: bytes) -> None:
    with pytest.raises(UsmRefused) as refused:
        door().admit(data, "127.0.0.1", 0.0)
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
    """A v1 trap, v2c trap or inform about a link; `binds` as its whole list."""
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
    return trap_message.encode_plain(version, b"public", ber.tlv(kind, body + binds))


def listed(kind: int) -> bytes:
    return b"".join(BINDS[2:] if kind == TRAP_V1 else BINDS)


def variables(pdu: trap_message.Pdu) -> dict[str, object]:
    return {
        bind.oid: bind.value
        for bind in pdu.binds
        if bind.oid != trap_message.SNMP_TRAP_ENTERPRISE
    }


KINDS = pytest.mark.parametrize(
    "kind", [TRAP_V1, trap_message.TRAP_V2, INFORM], ids=["v1", "v2c", "inform"]
)
WHOLE = {IF_INDEX: 7, IF_DESCR: b"Gi1/0/7"}


def is_cut_well(pdu: trap_message.Pdu) -> bool:
    """The trap is known, the variables are those that came whole, the rest counts."""
    found = variables(pdu)
    whole = found == WHOLE and pdu.lost == 0
    fewer = found.items() < WHOLE.items() and (pdu.lost == 1 or not found)
    return pdu.trap == "1.3.6.1.6.3.1.1.5.3" and (whole or fewer)


@KINDS
def test_a_datagram_that_is_cut_off_keeps_what_came_whole(kind: int) -> None:
    full = notification(kind, ber.tlv(ber.SEQUENCE, listed(kind)))
    assert is_cut_well(trap_message.decode(full).pdu)
    kept = 0
    for size in range(len(full)):
        try:
            pdu = trap_message.decode(full[:size]).pdu
        except ber.Malformed:
            # Only before it says what happened.
            assert not kept
            continue
        assert is_cut_well(pdu), size
        kept += 1
    last = len(BINDS[-1]) if kind != TRAP_V1 else len(listed(kind))
    assert kept >= last
    pdu = trap_message.decode(full[:-1]).pdu
    assert (variables(pdu), pdu.lost) == ({IF_INDEX: 7}, 1)


@KINDS
def test_a_list_that_is_cut_off_within_a_sound_message_does_too(kind: int) -> None:
    binds = ber.tlv(ber.SEQUENCE, listed(kind))
    for cut in range(1, len(BINDS[-1])):
        pdu = trap_message.decode(notification(kind, binds[:-cut])).pdu
        assert (variables(pdu), pdu.lost) == ({IF_INDEX: 7}, 1)
    short = trap_message.decode(
        notification(kind, ber.tlv(ber.SEQUENCE, listed(kind)[:-3]))
    )
    assert (variables(short.pdu), short.pdu.lost) == ({IF_INDEX: 7}, 1)


@KINDS
def test_a_variable_that_cannot_be_read_costs_itself(kind: int) -> None:
    odd = ber.tlv(ber.SEQUENCE, b"\x06\x02\x2b\x86" + ber.integer(1))
    binds = ber.tlv(ber.SEQUENCE, odd + listed(kind) + odd)
    pdu = trap_message.decode(notification(kind, binds)).pdu
    assert (variables(pdu), pdu.lost) == (WHOLE, 2)


def test_a_v1_trap_without_its_list_is_a_trap() -> None:
    pdu = trap_message.decode(notification(TRAP_V1, b"")).pdu
    assert (pdu.trap, pdu.uptime, pdu.lost) == ("1.3.6.1.6.3.1.1.5.3", 100, 0)
    assert variables(pdu) == {}


def test_the_answer_to_a_cut_inform_has_what_came_whole() -> None:
    full = notification(INFORM, ber.tlv(ber.SEQUENCE, listed(INFORM)))
    pdu = trap_message.decode(full[:-1]).pdu
    assert pdu.raw_binds == b"".join(BINDS[:-1])
    assert trap_message.decode(full).pdu.raw_binds == listed(INFORM)


@KINDS
async def test_what_is_cut_off_is_an_event_of_its_port_and_counted(kind: int) -> None:
    full = notification(kind, ber.tlv(ber.SEQUENCE, listed(kind)))
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
    (row,) = running.kept.of("link_down")
    assert row.tags["port"] == "Gi1/0/7"


def test_many_variables_are_read_up_to_a_bound() -> None:
    found = trap_message.decode(
        trap("1.3.6.1.4.1.9.9", *[(f"1.3.6.{n}", ber.integer(n)) for n in range(900)])
    )
    assert len(found.pdu.binds) <= trap_message.MOST_BINDS


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
                _admit(packet[:at] + change + packet[at + 1 :])
            _admit(packet[:at])
    assert traps >= 1


def _admit(data: bytes) -> None:
    """Nothing but `UsmRefused` may come of it."""
    refused: UsmRefused | None = None
    try:
        _DOOR.admit(data, "127.0.0.1", 0.0)
    except UsmRefused as error:
        refused = error
    if refused is not None:
        assert refused.reason in (*REASONS, "discovery")
        assert len(refused.report) < 300


_DOOR = door()


def _payloads(data: bytes) -> Iterator[bytes]:
    """UDP payloads of a classic pcap file over Ethernet or raw IP."""
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
