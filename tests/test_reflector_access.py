"""Who is answered by the reflector: no other server, and for tests who has a token."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_council import door, enrol
from probe_runs import reflector_at, run_call_path
from pydantic import ValidationError
from services import absent, program
from test_reflector_stamp import Caller
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from collectors.estate.estate_model import Estate
from collectors.estate.estate_model import Reflector as ReflectorOf
from collectors.ingest.ingest_config import PolicyConfig
from collectors.reflector import ReflectorConfig, ReflectorService
from collectors.reflector.reflector_access import (
    SecretRefused,
    grant,
    make_token,
    read_secret,
    stamp_key,
    token_holder,
)
from probes.measure import bandwidth, path_mtu
from probes.wire import ndt7, stamp, stamp_auth
from probes.wire.failure import Outcome
from probes.wire.policy import Policy, ReflectorAt, decode

SECRET = bytes(range(32))
KEY = stamp_key(SECRET)
NOW_S = 1_790_000_000.0
OFFER: dict[str, Any] = {"subprotocols": [ndt7.SUBPROTOCOL], "compression": None}


def config(folder: Path | None = None, **more: Any) -> ReflectorConfig:
    settings: dict[str, Any] = {
        "addresses": ("127.0.0.1",),
        "stamp_port": 0,
        "web_port": 0,
    }
    if folder is not None:
        file = folder / "reflector.key"
        file.touch(0o600)
        file.write_text(SECRET.hex() + "\n")
        settings["secret_file"] = file
    return ReflectorConfig(**(settings | more))


@pytest.mark.netns
@pytest.mark.parametrize(
    "ports", [("862", "862"), ("8620", "8620"), ("8620", "9620")], ids="-".join
)
def test_two_reflectors_never_answer_each_others_answers(
    ports: tuple[str, str],
) -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        absent("network namespaces need Linux and root")
    here = Path(__file__).parent
    done = subprocess.run(
        [
            *(program("unshare"), "--net", sys.executable),
            *(str(here / "reflector_loop.py"), *ports),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(here.parent)},
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["one"][0] == 20
    # At most one answer to each forged packet, and none to that answer.
    assert seen["other"][0] <= 20
    assert seen["other"][1] == 0


@pytest.mark.parametrize("reply_bytes", [44, 112])
async def test_a_reflectors_answer_gets_no_answer(reply_bytes: int) -> None:
    async with ReflectorService(config()) as reflector:
        with Caller(reflector.stamp_port) as caller:
            asked = stamp.request(1, 5, 1, tlvs=stamp.request_tlvs(reply_bytes))
            answer = await caller.ask(asked)
            await caller.silent(answer)
            light = stamp.request(2, 5)[:14] + b"padding" * 5
            await caller.silent(await caller.ask(light))
        assert reflector.stamp_stats.looped == 2
        assert reflector.stamp_stats.reflected == 2


async def test_ports_that_only_servers_have_get_no_answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind(("127.0.0.2", 0))
        theirs = elsewhere.getsockname()[1]
        async with (
            ReflectorService(config(reflector_ports=(theirs,))) as reflector,
            ReflectorService(config(addresses=("127.0.0.3",))) as stranger,
        ):
            own = reflector.stamp_port
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as same:
                same.bind(("127.0.0.2", own))
                for channel in (elsewhere, same):
                    channel.settimeout(0.3)
                    channel.sendto(stamp.request(1, 1), ("127.0.0.1", own))
                    with Caller(own) as caller:
                        # Whoever has a port of an agent's is answered meanwhile.
                        await caller.ask(stamp.request(2, 2))
                    with pytest.raises(TimeoutError):
                        channel.recv(100)
            assert reflector.stamp_stats.looped == 2
            elsewhere.sendto(stamp.request(1, 1), ("127.0.0.3", stranger.stamp_port))
            with Caller(stranger.stamp_port, "127.0.0.3") as caller:
                await caller.ask(stamp.request(2, 2))
            assert elsewhere.recv(100)


async def test_the_call_path_is_measured_in_the_authenticated_mode(
    tmp_path: Path,
) -> None:
    settings = config(tmp_path, authenticated_only=True)
    async with ReflectorService(settings) as reflector:
        port = reflector.stamp_port

        async def measured(key: bytes, packets: int) -> Any:
            at = reflector_at("127.0.0.1", port, key=key)
            return await run_call_path(at, packets=packets, interval_ms=5)

        good = await measured(KEY, 50)
        assert good.outcome is Outcome.OK
        assert good.values["loss_ratio"] == 0.0
        assert reflector.stamp_stats.reflected == 50
        for key in (b"", bytes(32)):
            refused = await measured(key, 5)
            assert refused.outcome is Outcome.TIMEOUT
        assert reflector.stamp_stats.reflected == 50
        mtu = await path_mtu.find_path_mtu("127.0.0.1", port, key=KEY)
        assert mtu.mtu_byte == path_mtu.MAX_MTU


async def test_a_reflector_with_a_key_answers_both_modes_by_default(
    tmp_path: Path,
) -> None:
    async with ReflectorService(config(tmp_path)) as reflector:
        with Caller(reflector.stamp_port) as caller:
            plain = stamp.read_reply(await caller.ask(stamp.request(7, 8, 9)))
            assert (plain.sender_sequence, plain.t1_ntp, plain.ssid) == (7, 8, 9)
            tlvs = stamp.request_tlvs(60)
            asked = stamp_auth.request(7, 8, KEY, 9) + tlvs
            answer = await caller.ask(asked)
            assert len(answer) == len(asked)
            signed = stamp_auth.read_reply(answer, KEY)
            assert (signed.sender_sequence, signed.t1_ntp, signed.ssid) == (7, 8, 9)
            assert stamp.elapsed_ns(signed.t3_ntp, signed.t2_ntp) >= 0
            assert answer[stamp_auth.AUTHENTICATED_BYTES] == stamp.UNRECOGNISED
            # A reply is no sender's packet, whoever signed it.
            await caller.silent(answer)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.integers(0, 65535))
def test_an_authenticated_packet_reads_as_it_was_written(
    sequence: int, t1: int, ssid: int
) -> None:
    packet = stamp_auth.request(sequence, t1, KEY, ssid)
    assert len(packet) == 112
    sent = stamp_auth.read_request(packet, KEY)
    assert sent == stamp.SenderPacket(sequence, t1, stamp.ERROR_ESTIMATE, ssid)
    answer = stamp_auth.reply(sent, 3, 1 << 33, 1 << 34, KEY, 64)
    assert len(answer) == 112
    read = stamp_auth.read_reply(answer, KEY)
    assert (read.sender_sequence, read.t1_ntp, read.ssid) == (sequence, t1, ssid)
    assert (read.sequence, read.t2_ntp, read.t3_ntp) == (3, 1 << 33, 1 << 34)
    assert read.sender_ttl == 64
    with pytest.raises(stamp.StampError):
        stamp_auth.read_request(answer, KEY)


@given(st.integers(0, 111), st.integers(1, 255))
def test_a_packet_that_was_changed_anywhere_is_not_authentic(at: int, by: int) -> None:
    packet = bytearray(stamp_auth.request(1, 2, KEY, 3))
    packet[at] ^= by
    assert not stamp_auth.is_authentic(bytes(packet), KEY)


def test_the_authentication_is_rfc_8762s() -> None:
    """Section 4.4: HMAC-SHA-256 over the 96 octets before, truncated to 128 bits."""
    import hashlib
    import hmac

    packet = stamp_auth.request(0x01020304, 0x05060708090A0B0C, KEY, 0x0D0E)
    assert packet[:4] == bytes.fromhex("01020304")
    assert packet[4:16] == bytes(12)
    assert packet[16:24] == bytes.fromhex("05060708090a0b0c")
    assert packet[26:28] == bytes.fromhex("0d0e")
    assert packet[28:96] == bytes(68)
    expected = hmac.new(KEY, packet[:96], hashlib.sha256).digest()[:16]
    assert packet[96:] == expected


@given(st.binary(max_size=200))
def test_noise_is_never_authentic(noise: bytes) -> None:
    assert not stamp_auth.is_authentic(noise, KEY)
    for read in (stamp_auth.read_request, stamp_auth.read_reply):
        with pytest.raises(stamp.StampError):
            read(noise, KEY)
    assert len(stamp.unrecognised_tlvs(noise)) == len(noise)


@given(st.floats(0, 2e10), st.floats(0, 1e6))
def test_a_token_is_good_for_hours_and_for_its_agent(
    now_s: float, later_s: float
) -> None:
    token = make_token(SECRET, "agent-1", now_s)
    holder = token_holder(SECRET, token, now_s + later_s)
    if later_s < 5 * 3600:
        assert holder
    if later_s > 6 * 3600:
        assert not holder
    other = make_token(SECRET, "agent-2", now_s)
    assert token_holder(SECRET, other, now_s) != token_holder(SECRET, token, now_s)
    assert not token_holder(bytes(32), token, now_s)
    assert "agent-1" not in token


@given(st.text(max_size=100), st.integers(0, 80), st.characters())
def test_no_other_text_is_a_token(text: str, at: int, sign: str) -> None:
    assert not token_holder(SECRET, text, NOW_S)
    token = make_token(SECRET, "agent-1", NOW_S)
    changed = token[:at] + sign + token[at + 1 :]
    assert changed == token or not token_holder(SECRET, changed, NOW_S)


def test_a_token_is_the_same_for_an_hour() -> None:
    hour_s = NOW_S // 3600 * 3600
    tokens = {make_token(SECRET, "a", hour_s + s) for s in (0, 1800, 3599)}
    assert len(tokens) == 1
    assert make_token(SECRET, "a", hour_s + 3600) not in tokens


async def test_strangers_take_no_place_from_who_has_a_token(tmp_path: Path) -> None:
    settings = config(tmp_path, tests_per_network=4)
    async with ReflectorService(settings, test_seconds=5.0) as reflector:
        base = f"ws://127.0.0.1:{reflector.web_port}"
        for token in ("", "1.9999999999.0.0", make_token(SECRET, "a", 0)):
            url = ndt7.url_of(ndt7.with_token(base, token), ndt7.DOWNLOAD)
            with pytest.raises(InvalidStatus) as refused:
                async with connect(url, **OFFER):
                    pass
            assert refused.value.response.status_code == 403
        assert reflector.web_stats.testing == 0
        granted = grant(SECRET, "agent-1", time.time())
        at = ReflectorAt("r", "127.0.0.1", ndt7_url=base, token=granted.token)
        result = await bandwidth.measure(
            at.test_url, now_ms=lambda: 0, budget_bytes=4_000_000, seconds=1.0
        )
        assert result.outcome is Outcome.OK
        assert reflector.web_stats.downloads == 1
        # One agent has one test at a time, though there is room.
        url = ndt7.url_of(at.test_url, ndt7.UPLOAD)
        async with connect(url, **OFFER):
            with pytest.raises(InvalidStatus) as busy:
                async with connect(url, **OFFER):
                    pass
            assert busy.value.response.status_code == 503
            other = grant(SECRET, "agent-2", time.time()).token
            url = ndt7.url_of(ndt7.with_token(base, other), ndt7.UPLOAD)
            async with connect(url, **OFFER):
                pass


async def test_anybody_may_test_if_access_is_open() -> None:
    async with ReflectorService(config(access="open"), test_seconds=0.5) as reflector:
        result = await bandwidth.measure(
            f"ws://127.0.0.1:{reflector.web_port}",
            now_ms=lambda: 0,
            budget_bytes=4_000_000,
            seconds=0.5,
        )
    assert result.outcome is Outcome.OK


async def test_the_policy_brings_each_agent_its_own_token_and_the_key(
    tmp_path: Path,
) -> None:
    (tmp_path / "reflector.key").touch(0o600)
    (tmp_path / "reflector.key").write_text(SECRET.hex())
    estate = Estate(
        reflectors=(
            ReflectorOf(
                id="hq", host="hq.example", ndt7_url="https://hq", authenticated=True
            ),
            ReflectorOf(id="router", host="router.example"),
        )
    )
    wanted = PolicyConfig(reflector_secret_file=tmp_path / "reflector.key")
    async with door(tmp_path, estate=lambda: estate, policy=wanted) as council:
        policies: list[Policy] = []
        for name in ("LAPTOP-1", "LAPTOP-2"):
            who = enrol(council.registry, name)
            answer = await council.client.get(
                "/v1/policy", auth=(who.agent, who.secret)
            )
            policies.append(decode(answer.content))
    one, two = (policy.reflectors for policy in policies)
    assert one[0].stamp_key == KEY.hex()
    assert token_holder(SECRET, one[0].token, time.time())
    assert one[0].token != two[0].token
    # Another's reflector gets neither.
    assert (one[1].stamp_key, one[1].token) == ("", "")
    # A new token does not have everything planned anew.
    assert policies[0] != policies[1]
    assert policies[0].plan() == policies[1].plan()


def test_a_secret_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "reflector.key"
    with pytest.raises(SecretRefused, match="openssl rand"):
        read_secret(file)
    file.write_text("short")
    file.chmod(0o600)
    with pytest.raises(SecretRefused, match="64 hexadecimal digits"):
        read_secret(file)
    file.write_text(SECRET.hex())
    file.chmod(0o644)
    with pytest.raises(SecretRefused, match="0644"):
        read_secret(file)
    file.chmod(0o640)
    assert read_secret(file) == SECRET
    with pytest.raises(ValidationError, match="secret_file"):
        ReflectorConfig(authenticated_only=True)


def test_a_url_keeps_a_token_of_its_own() -> None:
    assert ndt7.with_token("https://h", "") == "https://h"
    assert ndt7.with_token("", "t") == ""
    assert ndt7.with_token("https://h?a=1", "t.1") == "https://h?a=1&access_token=t.1"
    mine = "https://h?access_token=mine"
    assert ndt7.with_token(mine, "t") == mine
    assert "access_token=mine" in ndt7.url_of(mine, ndt7.DOWNLOAD)
