"""The ndt7 client: measurements, addresses, the kernel's counters, fairness."""

import asyncio
import json
import socket
import sys
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services import SHARED

from collectors.reflector.ndt7_server import Subtest, SubtestRequest
from probes.measure.ndt7_client import Meter, send_noise
from probes.wire import ndt7
from probes.wire.tcp_info import read_tcp_info, tcp_info


def corpus_files(pattern):
    return (SHARED / "corpus" / "speedtest").glob(pattern)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "AppInfo",
                    "TCPInfo",
                    "NumBytes",
                    "ElapsedTime",
                    "BytesReceived",
                    "RTT",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def test_125_million_octets_in_10_s_are_100_mbit_s():
    message = '{"AppInfo": {"NumBytes": 125000000, "ElapsedTime": 10000000}}'
    measured = ndt7.read_measurement(message)
    assert measured is not None
    assert measured.received_bps() == 100e6


def test_the_kernels_count_takes_precedence_over_the_programs():
    message = {
        "AppInfo": {"NumBytes": 1, "ElapsedTime": 1_000_000},
        "TCPInfo": {"BytesReceived": 1000, "ElapsedTime": 1_000_000, "BytesSent": 0},
    }
    measured = ndt7.read_measurement(json.dumps(message))
    assert measured is not None
    assert measured.received_bps() == 8000
    assert measured.retransmitted is None


def test_our_own_measurement_can_be_parsed():
    info = read_tcp_info(bytes(256))
    info = info._replace(bytes_sent=1000, bytes_retransmitted=10, bytes_received=7)
    message = ndt7.measurement("upload", 1000, 2_000_000, "server", info)
    measured = ndt7.read_measurement(message)
    assert measured is not None
    assert (measured.app_bytes, measured.app_us) == (1000, 2_000_000)
    assert (measured.tcp_received, measured.retransmitted) == (7, 0.01)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[]",
        "null",
        "{",
        '{"AppInfo": 5}',
        '{"AppInfo": {"NumBytes": true, "ElapsedTime": "9"}}',
        '{"AppInfo": {"NumBytes": -5, "ElapsedTime": 0}}',
        '{"AppInfo": {"NumBytes": 1e300, "ElapsedTime": 1}}',
        "[" * 5000,
        '{"a": "' + "x" * 20_000 + '"}',
        b"\xff\xfe",
    ],
)
def test_an_unusable_measurement_gives_no_rate(message):
    measured = ndt7.read_measurement(message)
    assert measured is None or measured.received_bps() is None


@given(anything)
def test_the_rate_of_any_json_is_a_number_or_none(message):
    measured = ndt7.read_measurement(json.dumps(message))
    if measured is not None:
        rate = measured.received_bps()
        assert rate is None or 0 <= rate < 1e24


@given(st.binary(max_size=200))
def test_random_octets_never_break_the_parser(message):
    ndt7.read_measurement(message)


def test_message_sizes_double_as_specified():
    sizes = list(islice(ndt7.message_sizes(), 400))
    assert sizes[:17] == [2**13] * 17
    assert sizes[17] == 2**14
    assert max(sizes) == 2**20


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://r.example", "wss://r.example/ndt/v7/upload"),
        ("http://r.example:80/", "ws://r.example:80/ndt/v7/upload"),
        ("wss://r.example:8443/ndt/v7/download", "wss://r.example:8443/ndt/v7/upload"),
        ("r.example:8443", "wss://r.example:8443/ndt/v7/upload"),
        ("https://r.example/speed/", "wss://r.example/speed/ndt/v7/upload"),
        ("wss://[::1]:8443", "wss://[::1]:8443/ndt/v7/upload"),
    ],
)
def test_every_form_of_address_is_accepted(base, url):
    assert ndt7.url_of(base, ndt7.UPLOAD) == f"{url}?client_name=towpath"


def test_the_query_of_an_address_is_kept_without_duplicate_keys():
    url = ndt7.url_of(
        "wss://r.example/?access_token=a%2Bb&client_name=x",
        ndt7.DOWNLOAD,
        {ndt7.MOST_BYTES_KEY: "9"},
    )
    query = "client_name=x&towpath_most_bytes=9&access_token=a%2Bb"
    assert url == f"wss://r.example/ndt/v7/download?{query}"


@pytest.mark.corpus
@pytest.mark.parametrize("file", sorted(corpus_files("mlab_ndt7-*.json")))
def test_measurements_recorded_from_m_lab_servers_are_parsed(file):
    archived = json.loads(file.read_text())
    test = archived.get("Upload") or archived.get("Download")
    for message in test["ServerMeasurements"]:
        measured = ndt7.read_measurement(json.dumps(message))
        assert measured is not None
        tcp = message["TCPInfo"]
        assert measured.tcp_received == tcp["BytesReceived"]
        assert measured.elapsed_us == tcp["ElapsedTime"]
        again = tcp["BytesRetrans"] / tcp["BytesSent"]
        assert measured.retransmitted == pytest.approx(again)
    last = test["ServerMeasurements"][-1]["TCPInfo"]
    rate = 8e6 * last["BytesReceived"] / last["ElapsedTime"]
    assert measured.received_bps() == pytest.approx(rate)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has TCP_INFO")
def test_the_kernel_counts_what_was_sent():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        server.accept()[0] as accepted,
    ):
        client.sendall(bytes(1000))
        assert len(accepted.recv(1000, socket.MSG_WAITALL)) == 1000
        accepted.sendall(b"done")
        assert client.recv(4)
        sent, received = tcp_info(client), tcp_info(accepted)
        assert sent is not None
        assert received is not None
        assert received.bytes_received == sent.bytes_sent == 1000
        assert 0 < received.rtt_us < 1_000_000


@given(st.binary(max_size=300))
def test_tcp_info_of_any_length_is_parsed(raw):
    assert read_tcp_info(raw).rtt_us >= 0


class NeverFull:
    """A connection to a peer that reads everything at once: `send` never waits."""

    remote_address = local_address = ("127.0.0.1", 7)

    def __init__(self):
        self.transport = self
        self.sent = 0

    def get_extra_info(self, _name):
        return None

    def take_by(self, take):
        pass

    async def send(self, message):
        self.sent += len(message)

    async def wait_closed(self):
        await asyncio.Event().wait()


async def turns(working):
    """How often other tasks ran until `working` ended."""
    count = 0
    task = asyncio.create_task(working)
    while not task.done():
        count += 1
        await asyncio.sleep(0)
    await task
    return count


async def test_an_upload_to_a_peer_that_never_blocks_ends_and_lets_other_tasks_run():
    link = NeverFull()
    assert await turns(send_noise(link, 0.2, 10**15, Meter(link))) > 10
    assert link.sent > ndt7.LARGEST_SENT


async def test_a_download_by_a_peer_that_never_blocks_ends_and_lets_other_tasks_run():
    link = NeverFull()
    test = Subtest(
        link, SubtestRequest("download"), bytes(ndt7.LARGEST_SENT), seconds=0.2
    )
    assert await turns(test.run()) > 10
    assert link.sent > ndt7.LARGEST_SENT
