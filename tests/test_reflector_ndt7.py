"""The ndt7 server over real sockets: what the specification requires."""

import asyncio
import contextlib
import itertools

import pytest
from ndt7_reflector import (
    OFFER,
    all_of,
    base,
    config,
)
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from collectors.reflector import ReflectorService
from probes.wire import ndt7


async def test_a_download_is_what_the_specification_says():
    async with ReflectorService(config(), test_seconds=1.5) as reflector:
        url = base(reflector) + ndt7.DOWNLOAD + "?client_name=test&client_version=1"
        async with connect(url, **OFFER) as link:
            assert link.subprotocol == ndt7.SUBPROTOCOL
            texts, sizes, closed = await all_of(link)
    assert closed.rcvd.code == 1000
    assert sizes[0] == 2**13
    assert all(2**10 <= size <= 2**20 for size in sizes)
    before = 0
    for one, two in itertools.pairwise(sizes):
        before += one
        assert two == one or (two == 2 * one and one < before / 16)
    last = texts[-1]
    # No more often than every 100 ms, by the server's own clock.
    assert 2 <= len(texts) <= last["AppInfo"]["ElapsedTime"] / 100_000 + 2
    # Since its v0.9 in every one; of one test, so always the same.
    (about,) = {tuple(text["ConnectionInfo"].items()) for text in texts}
    assert dict(about)["Client"].startswith("127.0.0.1:")
    assert (last["Origin"], last["Test"]) == ("server", "download")
    assert last["AppInfo"]["NumBytes"] == sum(sizes)
    times = [text["AppInfo"]["ElapsedTime"] for text in texts]
    assert times == sorted(times)


async def test_an_upload_is_counted_and_its_result_returned():
    async with ReflectorService(config(), test_seconds=1.5) as reflector:
        async with connect(base(reflector) + ndt7.UPLOAD, **OFFER) as link:
            for _ in range(40):
                await link.send(bytes(2**13))
            texts, sizes, closed = await all_of(link)
        assert reflector.web_stats.octets_in == 40 * 2**13
    assert sizes == []
    assert closed.rcvd.code == 1000
    assert texts[-1]["AppInfo"]["NumBytes"] == 40 * 2**13
    assert len(texts) <= texts[-1]["AppInfo"]["ElapsedTime"] / 100_000 + 2


async def test_an_upload_in_small_fragments_is_counted_and_ends_cleanly():
    # M-Lab's own client cuts its messages into frames of 4 kB.
    async with ReflectorService(config(), test_seconds=1.0) as reflector:
        async with connect(base(reflector) + ndt7.UPLOAD, **OFFER) as link:
            sent = 20 * 2**16
            for _ in range(20):
                await link.send([bytes(2**12)] * 16)
            await link.send(["{}", '{"text": ', "1}"])
            texts, _sizes, closed = await all_of(link)
        assert reflector.web_stats.octets_in == sent
        assert reflector.web_stats.failed == 0
    assert texts[-1]["AppInfo"]["NumBytes"] == sent
    assert closed.rcvd.code == 1000


async def test_a_client_that_goes_on_sending_after_the_test_still_gets_the_close():
    async with ReflectorService(config(), test_seconds=0.5) as reflector:
        async with connect(base(reflector) + ndt7.UPLOAD, **OFFER) as link:
            with contextlib.suppress(ConnectionClosed):
                async with asyncio.timeout(10):
                    while True:
                        await link.send(bytes(2**16))
        assert reflector.web_stats.failed == 0
    assert link.close_code == 1000


async def test_early_exit_ends_a_download_at_250_megabytes():
    async with ReflectorService(config(), test_seconds=30) as reflector:
        url = base(reflector) + ndt7.DOWNLOAD + "?early_exit=250"
        async with connect(url, **OFFER) as link:
            _texts, sizes, _closed = await all_of(link)
    assert 240e6 < sum(sizes) <= 250e6


async def test_a_clients_own_measurements_are_welcome_in_both_directions():
    async with ReflectorService(config(), test_seconds=0.8) as reflector:
        for path in (ndt7.DOWNLOAD, ndt7.UPLOAD):
            async with connect(base(reflector) + path, **OFFER) as link:
                for said in ("{}", "not json", '{"AppInfo": {"NumBytes": -1}}'):
                    await link.send(said)
                _texts, _sizes, closed = await all_of(link)
                assert closed.rcvd.code == 1000


async def test_a_download_that_gets_binary_messages_is_ended():
    async with ReflectorService(config(), test_seconds=30) as reflector:
        async with connect(base(reflector) + ndt7.DOWNLOAD, **OFFER) as link:
            await link.send(bytes(2000))
            _texts, _sizes, closed = await all_of(link)
        assert closed.rcvd is not None


@pytest.mark.parametrize(
    ("path", "offer", "status"),
    [
        (ndt7.DOWNLOAD, {}, 400),
        (ndt7.DOWNLOAD, {"subprotocols": ["something.else"]}, 400),
        (ndt7.UPLOAD + "?=2", OFFER, 400),
        (ndt7.DOWNLOAD + "?early_exit=1", OFFER, 400),
        ("/ndt/v8/download", OFFER, 404),
    ],
)
async def test_what_the_specification_forbids_is_refused(path, offer, status):
    async with ReflectorService(config()) as reflector:
        with pytest.raises(InvalidStatus) as refused:
            await connect(base(reflector) + path, **offer)
    assert refused.value.response.status_code == status


@pytest.mark.parametrize("query", ["?a=1&a=2", "?a", "?a=&b=%C3%A4"])
async def test_what_servers_are_to_bear_is_borne(query):
    """A key twice, a key without a value."""
    async with (
        ReflectorService(config(), test_seconds=0.2) as reflector,
        connect(base(reflector) + ndt7.DOWNLOAD + query, **OFFER) as link,
    ):
        _texts, sizes, _closed = await all_of(link)
    assert sizes
