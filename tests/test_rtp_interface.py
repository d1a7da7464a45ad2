"""`towpath rtp --interface` on a real interface, in network namespaces."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shaped_path import ShapedPath, shaped_path
from typer.testing import CliRunner

from collectors.journal import JournalReader
from probes.wire.sample import Sample
from towpath.cli import app

pytestmark = pytest.mark.netns
NAME = "ada.lovelace@council.example"
SENDER = f"""
import socket, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from rtp_captures import (
    ethernet, ipv4, receiver_report, rtp, sender_report, source_description, tcp,
    udp, voip_metrics,
)
names = source_description(9, {NAME!r})
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("far0", 0))
for n in range(int(sys.argv[1])):
    for host in range(1, 13):
        pair = f"10.1.1.{{host}}", f"10.2.2.{{host}}"
        there = ethernet(ipv4(udp(rtp(n, ssrc=host)), *pair))
        back = ipv4(udp(rtp(n, ssrc=100 + host)), *pair[::-1])
        link.send(there)
        link.send(ethernet(back, 0, (0x88A8, 5), (0x8100, 7)))
        if n not in (50, 90) or not sys.argv[2:]:
            continue
        sent = sender_report(host, 90, n) + names
        link.send(ethernet(ipv4(udp(sent, 4001, 5001), *pair)))
        report = receiver_report(100 + host, host, n // 10, n, 0, n)
        report = ipv4(udp(report + names + voip_metrics(9, host)), *pair[::-1])
        link.send(ethernet(report, 0, (0x88A8, 5), (0x8100, 7)))
        secret = sender_report(host, 9, 9)[:8] + bytes(range(34))
        link.send(ethernet(ipv4(udp(secret, 4001, 5001), *pair)))
        if n == 50:
            head = f"Via: x;branch=z{{host}}\\r\\nFrom: <sip:{{host}}{NAME}>\\r\\n"
            head += f"Call-ID: {{host}}{NAME}\\r\\nCSeq: 1 INVITE\\r\\n\\r\\n"
            at = 1
            for start in ("INVITE sip:{NAME} SIP/2.0", "SIP/2.0 486 Busy"):
                message = (start + "\\r\\n" + head).encode()
                if host % 2:
                    link.send(ethernet(ipv4(udp(message, 5060, 5060), *pair)))
                    continue
                for part in (message[:70], message[70:]):
                    link.send(ethernet(ipv4(tcp(part, at), *pair, 6)))
                    at += len(part)
"""
# Prints the counts of a small ring that nobody empties, and if it has any speech.
OVERFLOW = """
import sys, time
from collectors.rtp.packet_ring import PacketRing
with PacketRing("near0", blocks=2) as ring:
    print("ready", flush=True)
    sys.stdin.readline()
    counts = ring.take_counts()
    print(counts.seen, counts.dropped, b"\\xd5" * 8 in ring.memory[:], flush=True)
"""
# Prints whether a ring wakes its reader when the interface goes down, and ever after.
DOWN = """
import select, sys
from collectors.rtp.packet_ring import PacketRing
with PacketRing("near0") as ring:
    poll = select.poll()
    poll.register(ring, select.POLLIN)
    print("ready", flush=True)
    sys.stdin.readline()
    print(bool(poll.poll(5000)), list(ring.ready_blocks()), poll.poll(0), flush=True)
"""


@pytest.fixture
def path():
    with shaped_path() as path:
        yield path


@contextlib.contextmanager
def started(path: ShapedPath, code: str) -> Iterator[subprocess.Popen[str]]:
    """Runs a program at the near end, which is ready."""
    with subprocess.Popen(
        path.near(sys.executable, "-c", code),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


def send(path: ShapedPath, packets: int, *more: str) -> None:
    command = path.far(sys.executable, "-c", SENDER, str(packets), *more)
    subprocess.run(command, check=True)


async def read_rows(folder: Path) -> list[Sample]:
    async with JournalReader(folder, "look") as reader:
        chunk = await reader.read(1000)
    return [] if chunk is None else [s for b in chunk.batches for s in b.samples()]


def test_real_packets_become_rows_in_the_journal(path, tmp_path):
    (tmp_path / "estate.toml").write_text(
        '[[sites]]\nid = "hall"\nname = "Hall"\nsubnets = ["10.1.0.0/16"]\n'
    )
    config = tmp_path / "towpath.toml"
    config.write_text(f'state = "{tmp_path}"\nestate = "{tmp_path}/estate.toml"\n')
    command = ["-m", "towpath.cli", "rtp", "--interface", "near0", "-c", str(config)]
    command += ["--sip"]
    with subprocess.Popen(
        path.near(sys.executable, *command), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "rtp_capture_started" in line
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        send(path, 100, "with RTCP")
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
        assert process.returncode == 0
    rows = asyncio.run(read_rows(tmp_path / "journal"))
    media = [row for row in rows if row.measurement == "rtp_media"]
    assert {row.tags["from_subnet"] for row in media} == {"10.1.0.0/16", "10.2.2.0/24"}
    assert sum(row.fields["packets"] for row in media) == 2400
    there = [row.fields for row in media if row.tags["to_subnet"] == "10.2.2.0/24"]
    reported = [fields for fields in there if fields["reported"]]
    assert sum(fields.get("reported_expected", 0) for fields in reported) == 480
    assert sum(fields["round_trips"] for fields in reported) == 24
    for fields in reported:
        assert fields.get("reported_loss_ratio", 0.1) == pytest.approx(0.1)
        assert fields["rtt_ms"] >= 0
        assert fields["reported_mos"] == 3.9
    capture = [row.fields for row in rows if row.measurement == "rtp_capture"]
    assert sum(fields["packets"] for fields in capture) == 2400 + 72 + 24 + 12
    assert sum(fields["rtcp"] for fields in capture) == 48
    assert sum(fields["rtcp_unread"] for fields in capture) == 24
    assert sum(fields["sip"] for fields in capture) == 24
    assert sum(fields["dropped"] for fields in capture) == 0
    calls = {row.tags["group"]: row.fields for row in rows if "group" in row.tags}
    assert calls["486"]["calls"] == 12
    assert calls["all"]["not_answered_ratio"] == 1.0
    held = [p for p in (tmp_path / "journal").rglob("*") if p.is_file()]
    for planted in (b"10.1.1.", NAME.encode()):
        assert not any(planted in path.read_bytes() for path in held)
        assert planted not in line.encode() + log.encode()


def test_what_the_kernel_drops_is_counted_and_speech_stays_in_it(path):
    with started(path, OVERFLOW) as process:
        send(path, 400)
        output, _ = process.communicate("\n")
    seen, dropped, has_speech = output.split()
    assert int(seen) == 9600
    assert 0 < int(dropped) < 9600
    assert has_speech == "False"


def test_an_interface_that_goes_down_wakes_its_reader_once(path):
    with started(path, DOWN) as process:
        subprocess.run(path.near("ip", "link", "set", "near0", "down"), check=True)
        output, _ = process.communicate("\n")
    assert output == "True [] []\n"


def test_a_user_with_cap_net_raw_alone_captures_also_when_the_port_comes_back(path):
    """The port is deleted and made again, as when a driver is loaded anew."""
    only = ("setpriv", "--securebits", "+noroot", "--inh-caps", "-all,+net_raw")
    only += ("--ambient-caps", "-all,+net_raw", "--bounding-set", "-all,+net_raw")
    command = (sys.executable, "-m", "towpath.cli", "rtp", "--interface", "near0")
    with subprocess.Popen(
        path.near(*only, *command),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "rtp_capture_started" in process.stderr.readline()
        send(path, 20)
        subprocess.run(path.near("ip", "link", "del", "near0"), check=True)
        lost = process.stderr.readline()
        make = (
            "ip link add near0 type veth peer name far0 netns far && "
            "ip link set near0 up && ip -n far link set far0 up"
        )
        subprocess.run(path.near("sh", "-c", make), check=True)
        back = process.stderr.readline()
        send(path, 20)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
    assert "rtp_interface_lost" in lost
    assert "it is not there; it is captured again when it is up" in lost
    assert "rtp_interface_back" in back
    rows = [json.loads(line) for line in output.splitlines()]
    captures = [row["fields"] for row in rows if row["measurement"] == "rtp_capture"]
    assert sum(fields["packets"] for fields in captures) == 960
    assert sum(fields["down_s"] for fields in captures) > 0


def test_without_the_capability_one_sentence_says_what_is_missing(path):
    end = path.near(
        sys.executable,
        "-c",
        (
            "from collectors.rtp.drop_privileges import drop_privileges\n"
            "from typer.testing import CliRunner\n"
            "from towpath.cli import app\n"
            "drop_privileges()\n"
            "print(CliRunner().invoke(app, ['rtp', '--interface', 'near0']).stderr)\n"
        ),
    )
    result = subprocess.run(end, capture_output=True, text=True, check=True)
    assert result.stdout.startswith(
        "capturing from near0 needs the capability CAP_NET_RAW: start it as"
    )


def test_a_wrong_use_is_one_sentence():
    for arguments, sentence in (
        ([], "expected either FILE or --interface NAME\n"),
        (
            ["--interface", "x", "--gateway", "pbx"],
            "--gateway 'pbx': expected an address or a network\n",
        ),
    ):
        result = CliRunner().invoke(app, ["rtp", *arguments])
        assert (result.exit_code, result.stderr) == (2, sentence)


def test_an_interface_that_is_not_there_is_one_sentence(path):
    command = ["-m", "towpath.cli", "rtp", "--interface", "none0"]
    end = path.near(sys.executable, *command)
    result = subprocess.run(end, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("cannot capture from none0: ")
    assert len(result.stderr.splitlines()) == 1
