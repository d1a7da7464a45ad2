"""Looking a host up, and connecting to the first of its addresses that answers."""

import asyncio
import socket
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.measure import tcp_connection
from probes.measure.tcp_connection import (
    TcpAddress,
    connect_first,
    families_in_turn,
    first_of_each_family,
    host_octets,
    look_up,
)
from probes.wire.percentiles import median

V4, V6 = int(socket.AF_INET), int(socket.AF_INET6)
DEAD = TcpAddress(V4, "127.0.0.1", 9)


def test_families_take_turns_and_no_address_is_lost() -> None:
    listed = [TcpAddress(V6, f"::{n}", 1) for n in (1, 2, 3)]
    listed += [TcpAddress(V4, f"10.0.0.{n}", 1) for n in (1, 2)]
    assert [address.host for address in families_in_turn(listed)] == [
        "::1", "10.0.0.1", "::2", "10.0.0.2", "::3"
    ]  # fmt: skip
    assert [address.host for address in first_of_each_family(listed)] == [
        "::1", "10.0.0.1"
    ]  # fmt: skip
    assert families_in_turn([]) == []


async def test_addresses_that_refuse_or_are_silent_are_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tcp_connection, "NEXT_ADDRESS_S", 0.02)
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with socket.socket() as full:
        # Nobody accepts here, and the second one that wants to connect waits.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        silent = TcpAddress(V4, "127.0.0.1", full.getsockname()[1])
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", silent.port))
        async with asyncio.timeout(15):
            alive = TcpAddress(V4, "127.0.0.1", port)
            _, writer = await connect_first([DEAD, silent, alive])
        assert writer.get_extra_info("peername")[1] == port
        writer.transport.abort()
        for one in waiting:
            one.close()
    server.close()


async def test_the_error_that_says_most_is_raised() -> None:
    nowhere = TcpAddress(V6, "2001:db8::1", 9)
    with pytest.raises(ConnectionRefusedError):
        await connect_first([nowhere, DEAD])
    with pytest.raises(OSError, match="no address"):
        await connect_first([])


async def test_a_name_reaches_the_system_as_dns_has_it() -> None:
    assert host_octets("tŷ.example") == b"xn--t-foa.example"
    assert host_octets("a.example") == b"a.example"
    assert TcpAddress(V4, "127.0.0.1", 80) in await look_up("localhost", 80)
    with pytest.raises(UnicodeError):
        await look_up("ŷ" * 70, 80)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=9))
def test_a_median_is_that_of_the_standard_library(values: list[float]) -> None:
    assert median(values) == statistics.median(values)
