"""What is relied on in gufo-snmp's private module holds in the version installed."""

from __future__ import annotations

import asyncio
import os
import socket
import types

import pytest
import services
import structlog
from secured_agent import USER, SecuredSwitch

from collectors.snmp import credential
from collectors.snmp.session import sessions as session_module
from collectors.snmp.session.oids import IF_DESCR, IF_IN_OCTETS, SYS_NAME, SYS_UP_TIME
from collectors.snmp.session.session import RetryPolicy, Value
from collectors.snmp.session.sessions import HAS_GUFO, Sessions
from collectors.snmp.session.udp_session import UdpSession
from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedSwitch

if not HAS_GUFO:
    pytest.skip("no wheel of gufo-snmp", allow_module_level=True)

from gufo.snmp import _fast

from collectors.snmp.session import gufo_library
from collectors.snmp.session.gufo_library import GufoError, GufoSocket

PUBLIC = credential("test", {"community": "public"})
V1 = credential("test", {"community": "public", "version": "1"})
OBJECT_ID = "1.3.6.1.2.1.1.2.0"


async def receive(gufo: GufoSocket, seconds: float = 5.0) -> dict[str, Value]:
    """What `receive_get` returns once it no longer raises `BlockingIOError`."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                return gufo.receive_get()
            except BlockingIOError:
                await asyncio.sleep(0.005)


class Answering(SimulatedSwitch):
    """Answers each GET with the bindings given, or with octets that are no SNMP."""

    def __init__(self, *binds: bytes, raw: bytes = b"", wrong_ids: int = 0) -> None:
        super().__init__("a", 1)
        self._binds, self._raw, self._wrong_ids = b"".join(binds), raw, wrong_ids

    def answer(self, data: bytes) -> list[bytes]:
        request = snmp_messages.decode(data)
        late = [
            snmp_messages.response(
                request._replace(request_id=request.request_id + 1 + n), self._binds
            )
            for n in range(self._wrong_ids)
        ]
        return [*late, self._raw or snmp_messages.response(request, self._binds)]


def bind(oid: str, value: bytes) -> bytes:
    return snmp_messages.bind(
        snmp_messages.oid_content(snmp_messages.oid_arcs(oid)), value
    )


def test_the_classes_methods_and_signatures_are_those_expected() -> None:
    assert gufo_library.mismatch() == ""


def test_each_difference_of_the_library_is_named() -> None:
    changed = types.SimpleNamespace(
        SnmpV1ClientSocket=_fast.SnmpV3ClientSocket, SnmpV2cClientSocket=object
    )
    sentence = gufo_library.mismatch(changed)
    assert "SnmpV1ClientSocket takes (addr, engine_id, " in sentence
    assert "no SnmpV2cClientSocket.send_get_many" in sentence
    assert "no SnmpV3ClientSocket" in sentence


async def test_a_library_that_differs_is_not_used_and_that_is_logged_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gufo_library, "mismatch", lambda: "no SnmpV1ClientSocket")
    session_module._fastest_class.cache_clear()
    try:
        with structlog.testing.capture_logs() as logs:
            async with SimulatedSwitch("a", 1) as switch, Sessions() as sessions:
                policy = RetryPolicy((1.0,))
                where = switch.address, switch.port_number
                opened = [sessions.open(*where, PUBLIC, policy) for _ in range(2)]
                answer = await opened[1].get([SYS_NAME])
    finally:
        session_module._fastest_class.cache_clear()
    assert [type(session) for session in opened] == [UdpSession, UdpSession]
    assert answer == {SYS_NAME: b"a"}
    assert [(log["event"], log["error"]) for log in logs] == [
        ("gufo_snmp_not_used", "no SnmpV1ClientSocket")
    ]


@pytest.mark.parametrize("held", [V1, PUBLIC], ids=["v1", "v2c"])
async def test_a_get_returns_python_values_and_leaves_out_what_is_missing(
    held: object,
) -> None:
    async with SimulatedSwitch("a", 1) as switch:
        gufo = GufoSocket(switch.address, switch.port_number, held)  # type: ignore[arg-type]
        gufo.send_get([OBJECT_ID, SYS_NAME, f"{IF_IN_OCTETS}.1"])
        answer = await receive(gufo)
        assert {oid: type(value) for oid, value in answer.items()} == {
            OBJECT_ID: str,
            SYS_NAME: bytes,
            f"{IF_IN_OCTETS}.1": int,
        }
        if held is PUBLIC:
            gufo.send_get([SYS_NAME, f"{IF_IN_OCTETS}.99"])
            assert await receive(gufo) == {SYS_NAME: b"a"}


async def test_receiving_does_not_wait_and_drops_answers_to_other_requests() -> None:
    name = bind(SYS_NAME, snmp_messages.octets("a"))
    async with Answering(name, wrong_ids=3) as switch:
        gufo = GufoSocket(switch.address, switch.port_number, PUBLIC)
        gufo.send_get([SYS_NAME])
        with pytest.raises(BlockingIOError):
            gufo.receive_get()
        assert await receive(gufo) == {SYS_NAME: b"a"}


async def test_the_descriptor_is_a_connected_socket_that_python_can_use_too() -> None:
    async with SimulatedSwitch("a", 1) as switch:
        gufo = GufoSocket(switch.address, switch.port_number, PUBLIC)
        with socket.socket(fileno=os.dup(gufo.descriptor)) as same:
            assert same.type & socket.SOCK_DGRAM
            assert same.getpeername() == (switch.address, switch.port_number)
        readable = asyncio.Event()
        asyncio.get_running_loop().add_reader(gufo.descriptor, readable.set)
        gufo.send_get([SYS_NAME])
        await asyncio.wait_for(readable.wait(), 30.0)
        asyncio.get_running_loop().remove_reader(gufo.descriptor)
        assert b"public" in os.read(gufo.descriptor, 65_535)


async def test_an_opaque_is_given_as_its_octets() -> None:
    # NET-SNMP's float 1.0 in an Opaque: 9f 78 04 3f800000.
    octets = bytes.fromhex("9f78043f800000")
    async with Answering(bind(SYS_NAME, b"\x44\x07" + octets)) as switch:
        gufo = GufoSocket(switch.address, switch.port_number, PUBLIC)
        gufo.send_get([SYS_NAME])
        assert await receive(gufo) == {SYS_NAME: octets}


@pytest.mark.parametrize(
    "raw",
    [b"\x30\x03\x02\x01\x01", b"no SNMP at all"],
    ids=["cut off", "text"],
)
async def test_an_answer_that_cannot_be_decoded_is_an_error_of_one_kind(
    raw: bytes,
) -> None:
    async with Answering(raw=raw) as switch:
        gufo = GufoSocket(switch.address, switch.port_number, PUBLIC)
        gufo.send_get([SYS_NAME])
        with pytest.raises(GufoError):
            await receive(gufo)


async def test_one_odd_value_refuses_the_whole_answer() -> None:
    """Then Python reads it. If gufo-snmp learns to read the rest, nobody needs that."""
    good = bind(SYS_NAME, snmp_messages.octets("a"))
    odd = bind(f"{IF_DESCR}.1", b"\x40\x03\x01\x02\x03")
    async with Answering(good, odd) as switch:
        gufo = GufoSocket(switch.address, switch.port_number, PUBLIC)
        gufo.send_get([SYS_NAME, f"{IF_DESCR}.1"])
        with pytest.raises(GufoError):
            await receive(gufo)


async def test_a_closed_port_is_refused_by_one_of_two_exceptions() -> None:
    port = services.free_port(socket.SOCK_DGRAM)
    gufo = GufoSocket("127.0.0.1", port, PUBLIC)
    gufo.send_get([SYS_NAME])
    with pytest.raises((ConnectionRefusedError, TimeoutError), match="refused"):
        await receive(gufo)


async def test_version_3_discovers_the_engine_and_then_uses_the_keys() -> None:
    async with SecuredSwitch("a", 1) as switch:
        gufo = GufoSocket(switch.address, switch.port_number, USER)

        async def refresh() -> None:
            gufo.send_refresh()
            async with asyncio.timeout(5.0):
                while True:
                    try:
                        return gufo.receive_refresh()
                    except BlockingIOError:
                        await asyncio.sleep(0.005)

        await refresh()
        gufo.use_keys()
        assert gufo.needs_authentication
        await refresh()
        gufo.send_get([SYS_UP_TIME, SYS_NAME])
        assert (await receive(gufo))[SYS_NAME] == b"a"
