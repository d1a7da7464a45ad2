"""Damaged answers: both libraries end each of them in a value or a reason, in time and
with little memory."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable

import pytest
import services
from captures import datagrams

from collectors.snmp import credential
from collectors.snmp.session.device_session import MAX_ROWS, DeviceSession
from collectors.snmp.session.poll_budget import PollBudget
from collectors.snmp.session.session import Failed, RetryPolicy, Session
from collectors.snmp.session.sessions import HAS_GUFO, Sessions
from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedSwitch

PUBLIC = credential("test", {"community": "public"})
USER = credential(
    "test", {"user": "watcher", "auth_password": "authpassword", "auth": "sha1"}
)
SYSTEM = [f"1.3.6.1.2.1.1.{n}.0" for n in range(1, 8)]
LIBRARIES = [
    pytest.param(
        True, id="gufo", marks=pytest.mark.skipif(not HAS_GUFO, reason="no wheel")
    ),
    pytest.param(False, id="python"),
]
ROUNDS = 60
Answer = Callable[[bytes], bytes]


class Liar(asyncio.DatagramProtocol):
    """Answers each datagram with what `answer` makes of it."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):
            self._transport.sendto(self._answer(data)[:60_000], addr)  # type: ignore[attr-defined]


@contextlib.asynccontextmanager
async def lying(answer: Answer) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: Liar(answer), local_addr=("127.0.0.1", 0)
    )
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


def spoil(packet: bytes, dice: random.Random) -> bytes:
    """`packet` with octets changed, lengths blown up, parts lost, doubled or nested."""
    octets = bytearray(packet)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(octets)) if octets else 0
        match dice.randrange(7):
            case 0:
                octets[at : at + 1] = bytes((dice.randrange(256),))
            case 1:
                del octets[at : at + dice.randint(1, 20)]
            case 2:
                octets[at:at] = octets[at : at + dice.randint(1, 60)]
            case 3:
                # A length of four gigabytes, or one of no octets.
                octets[at : at + 1] = dice.choice((b"\x84\xff\xff\xff\xff", b"\x80"))
            case 4:
                octets[at:at] = b"\x30\x80" * dice.randint(1, 200)
            case 5:
                # An OID arc or an integer without an end.
                octets[at:at] = b"\xff" * dice.randint(1, 40)
            case 6:
                octets = octets[: at + 1]
    return bytes(octets)


def with_our_id(packet: bytes, request: bytes) -> bytes:
    """`packet` with the request's own id, if that can be found, so that it is not
    dropped for its id alone."""
    try:
        ours = snmp_messages.decode(request).request_id
        theirs = snmp_messages.decode(
            bytes(packet).replace(b"\xa2", b"\xa0", 1)
        ).request_id
    except snmp_messages.Malformed:
        return packet
    return packet.replace(snmp_messages.integer(theirs), snmp_messages.integer(ours), 1)


async def converse(session: Session) -> None:
    """A GET and a short walk: a value or a reason, nothing else."""
    with contextlib.suppress(Failed):
        answer = await session.get(SYSTEM)
        assert len(answer) < 1000
    with contextlib.suppress(Failed):
        rows = await DeviceSession(session, PollBudget(0.2)).walk("1.3.6.1.2.1.2.2.1.2")
        assert len(rows) <= MAX_ROWS + 25


async def ask_all(prefer_gufo: bool, answer: Answer, held: object = PUBLIC) -> None:
    async with lying(answer) as port, Sessions(prefer_gufo) as sessions:
        async with asyncio.timeout(60):
            for _ in range(ROUNDS):
                session = sessions.open("127.0.0.1", port, held, RetryPolicy((0.01,)))  # type: ignore[arg-type]
                await converse(session)
                session.close()


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize("seed", range(2))
async def test_spoilt_answers_of_a_switch(prefer_gufo: bool, seed: int) -> None:
    dice, switch = random.Random(seed), SimulatedSwitch("a", 8)

    def answer(request: bytes) -> bytes:
        answers = switch.answer(request)
        return spoil(answers[0], dice) if answers else b""

    await ask_all(prefer_gufo, answer)


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
async def test_spoilt_answers_to_a_user_of_version_3(prefer_gufo: bool) -> None:
    dice = random.Random(7)
    # A report as an agent answers discovery with: its engine, boots and time.
    report = bytes.fromhex(
        "3069020103300e02010102030100000401000201030424302204118000"
        "1f8880e9630000d61ff449000000000201020202012304000400040030"
        "2e04118000"
        "1f8880e9630000d61ff44900000000"
        "0400a8170201010201000201003010300e060a2b0601060f01010400410101"
    )
    await ask_all(prefer_gufo, lambda request: spoil(report, dice), USER)


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
async def test_octets_without_any_sense(prefer_gufo: bool) -> None:
    dice = random.Random(3)
    await ask_all(prefer_gufo, lambda request: dice.randbytes(dice.randint(0, 1500)))


@pytest.mark.corpus
@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize("name", ["ndpi_snmp.pcap", "suricata_snmpv1-trap.pcap"])
async def test_spoilt_packets_of_real_devices(prefer_gufo: bool, name: str) -> None:
    packets = [
        datagram.payload for datagram in datagrams(services.corpus("pcap", name))
    ]
    assert packets
    dice = random.Random(11)

    def answer(request: bytes) -> bytes:
        packet = with_our_id(dice.choice(packets), request)
        return packet if dice.random() < 0.2 else spoil(packet, dice)

    await ask_all(prefer_gufo, answer)
