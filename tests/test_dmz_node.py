"""A DMZ node lets in the laptops that the inside lets in, holds no secret of the
inside, and loses nothing that it has acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import msgspec
import pytest
from dmz_council import DmzCouncil, Laptop, dmz_council
from nats.js import errors as jetstream_errors
from services import free_port
from waiting import until
from warm_command import WarmCommand

from collectors.batch import Batch, Schema
from collectors.dmz import dmz_registry
from collectors.dmz.dmz_trial import try_list
from collectors.journal.journal_log import LogPiece
from collectors.nats import nats_connection
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.stream_message import stream_messages
from collectors.support_codes import SupportCodes, support_codes_file
from probes.wire import support_code
from probes.wire.clock import wall_ms
from probes.wire.report import AgentCredential
from towpath.check_journal import journal_findings
from towpath.run import Installation

SERIAL_DIGEST = "ab" * 32


@pytest.fixture(scope="module")
def council(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DmzCouncil]:
    with dmz_council(tmp_path_factory.mktemp("dmz")) as made:
        yield made


@contextlib.asynccontextmanager
async def inside(council: DmzCouncil) -> AsyncIterator[Installation]:
    async with Installation(council.inside(), ["ingest"]) as running:
        yield running


@contextlib.asynccontextmanager
async def node(council: DmzCouncil) -> AsyncIterator[Laptop]:
    port = free_port()
    async with (
        Installation(council.node(port=port), ["ingest"]),
        council.laptop(port) as laptop,
    ):
        yield laptop


def token(council: DmzCouncil) -> str:
    with council.registry() as registry:
        return registry.admin.make_token("hall", 1, 1, wall_ms())


async def enrolled(council: DmzCouncil, laptop: Laptop, device: str) -> AgentCredential:
    answer = await laptop.enrol(token(council), device, SERIAL_DIGEST)
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=AgentCredential)


async def until_rows(council: DmzCouncil, who: AgentCredential, n: int) -> list[int]:
    times: list[int] = []

    async def are_there() -> bool:
        times[:] = await council.pulled_times(who.agent)
        return len(times) >= n

    await until(are_there, f"{n} rows inside", every_s=0.2)
    return times


async def test_a_laptop_enrols_reports_and_is_shut_out_through_the_node(
    council: DmzCouncil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dmz_registry, "_MARKS_S", 0.1)
    async with inside(council), node(council) as laptop:
        await until_ready(laptop)
        who = await enrolled(council, laptop, "planted-device-1")
        # At once: the node knows the laptop when the answer arrives.
        assert (await laptop.report(who, "r-1")).status_code == 200
        wrong = msgspec.structs.replace(who, secret="wrong")
        assert (await laptop.report(wrong, "r-2")).status_code == 401
        unknown = await laptop.enrol("tow-unknown", "planted-device-2")
        assert unknown.status_code == 403
        assert "not known here" in unknown.text
        policy = await laptop.client.get("/v1/policy", auth=(who.agent, who.secret))
        assert policy.json()["offices"] == [
            {"site": "hall", "subnets": ["10.20.0.0/16"]}
        ]
        # What the node measures by is what the settings inside say.
        assert policy.json()["report_s"] == 120
        assert len(await until_rows(council, who, 1)) == 1

        auth = (who.agent, who.secret)
        renewed = await laptop.client.post("/v1/credential", json={}, auth=auth)
        new = msgspec.json.decode(renewed.content, type=AgentCredential)
        auth = (new.agent, new.secret)
        confirmed = await laptop.client.post("/v1/credential/confirm", auth=auth)
        assert confirmed.status_code == 200, confirmed.text
        assert (await laptop.report(new, "r-3")).status_code == 200
        old = await laptop.report(who, "r-4")
        assert old.status_code == 401
        assert "has replaced this secret" in old.text

        with council.registry() as registry:

            def is_marked() -> bool:
                (agent,) = (a for a in registry.agents() if a.agent == who.agent)
                noticed = agent.last_seen_ms and agent.software and agent.copied_ms
                return bool(noticed)

            await until(is_marked, "what the node noticed of the laptop")
            registry.admin.revoke(who.agent, wall_ms(), "test")

        async def is_refused() -> bool:
            return bool((await laptop.report(new, "r-5")).status_code == 401)

        await until(is_refused, "a revoked laptop to be refused", 60, every_s=0.2)

        def is_wiped() -> bool:
            blocks = (council.folder / "dmz" / "nats").rglob("KV_*/msgs/*.blk")
            return not any(who.agent.encode() in file.read_bytes() for file in blocks)

        await until(is_wiped, "the server's files without it", 10, every_s=0.2)


async def test_a_laptop_behind_a_node_gets_support_codes_and_hears_who_looked(
    council: DmzCouncil,
) -> None:
    path = support_codes_file(council.registry_config.path)
    async with node(council) as laptop:
        async with inside(council):
            await until_ready(laptop)
            who = await enrolled(council, laptop, "planted-device-9")
            auth = (who.agent, who.secret)
            made = await laptop.client.post(support_code.PATH, auth=auth)
            code = made.json()["code"]
            opened = SupportCodes(path, wall_ms).open(code, "id", "Planted Person")
            assert opened.agent == who.agent
            shown = await laptop.client.get(support_code.PATH, auth=auth)
            [look] = shown.json()["looks"]
            assert look["who"] == "Planted Person"
            for word in (code, "Planted Person"):
                assert not named_in_dmz(council, word)
            # As often as on a laptop inside.
            answers = [
                await laptop.client.post(support_code.PATH, auth=auth)
                for _ in range(10)
            ]
            assert [a.status_code for a in answers] == [200] * 9 + [429]
        away = await laptop.client.post(support_code.PATH, auth=auth)
        assert away.status_code == 503
        assert "cannot be asked at the moment" in away.json()["why"]


def named_in_dmz(council: DmzCouncil, word: str) -> list[Path]:
    """The files in the DMZ that have a word."""
    files = (f for f in (council.folder / "dmz").rglob("*") if f.is_file())
    return [file for file in files if word.encode() in file.read_bytes()]


async def test_while_the_inside_is_away_reports_are_kept_and_come_once(
    council: DmzCouncil,
) -> None:
    async with node(council) as laptop:
        async with inside(council):
            await until_ready(laptop)
            who = await enrolled(council, laptop, "planted-device-3")
        spare = token(council)
        for number in range(5):
            sent = await laptop.report(who, f"away-{number}", wall_ms() + number)
            assert sent.status_code == 200
        for refused in (
            await laptop.enrol(spare, "planted-device-4"),
            await laptop.client.post(
                "/v1/credential", json={}, auth=(who.agent, who.secret)
            ),
        ):
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) >= 30
        async with inside(council):
            assert len(await until_rows(council, who, 5)) == 5
            again = await laptop.enrol(spare, "planted-device-4")
            assert again.status_code == 200
        async with inside(council):
            # Nothing comes twice after a restart.
            assert (await laptop.report(who, "last", wall_ms() + 9)).status_code == 200
            assert len(await until_rows(council, who, 6)) == 6


async def test_a_node_that_is_killed_loses_nothing_that_it_acknowledged(
    council: DmzCouncil,
) -> None:
    port = free_port()
    file = council.node_file(port=port)
    arguments = ["run", "--config", str(file), "--role", "ingest"]
    acknowledged: list[int] = []
    async with inside(council), council.laptop(port) as laptop:
        running = WarmCommand(arguments, os.environ, file.with_suffix(".log"))
        try:
            await until_ready(laptop)
            who = await enrolled(council, laptop, "planted-device-5")
            begin_ms = wall_ms()

            async def send() -> None:
                for number in range(2000):
                    with contextlib.suppress(httpx2.HTTPError):
                        time_ms = begin_ms + number
                        sent = await laptop.report(who, f"k-{number}", time_ms)
                        if sent.status_code == 200:
                            acknowledged.append(time_ms)
                            continue
                    if acknowledged:
                        return

            sending = asyncio.create_task(send())
            await until(lambda: len(acknowledged) >= 20, "some acknowledged reports")
            os.kill(running.pid, signal.SIGKILL)
            await sending
        finally:
            running.kill()
        times = await until_rows(council, who, len(acknowledged))
        assert set(acknowledged) <= set(times)
        assert len(set(times)) == len(times)


async def test_nothing_in_the_dmz_names_a_device_or_opens_anything_inside(
    council: DmzCouncil,
) -> None:
    async with inside(council) as running, node(council) as laptop:
        await until_ready(laptop)
        text = token(council)
        answer = await laptop.enrol(text, "planted-device-6", SERIAL_DIGEST)
        who = msgspec.json.decode(answer.content, type=AgentCredential)
        assert (await laptop.report(who, "g-1")).status_code == 200
        await until_rows(council, who, 1)
        key = council.registry_config.key_file.read_text().strip()
        planted = [
            "planted-device",
            "planted-switch",
            "Town Hall of Planted",
            SERIAL_DIGEST,
            key,
            text,
            who.secret,
        ]
        assert named_in_dmz(council, who.agent)
        for word in planted:
            assert not named_in_dmz(council, word), word
        assert running.roles == ["ingest"]
        held = {file.name for file in (council.folder / "dmz").rglob("*")}
        assert not held & {"agents.sqlite", "pseudonym.key"}


async def test_check_tries_the_server_from_outside_and_from_inside(
    council: DmzCouncil,
) -> None:
    """The node as it is, which may do nothing there that it does not need."""
    assert (await asyncio.to_thread(journal_findings, council.node()))[1] == []
    _, warnings, facts = await asyncio.to_thread(journal_findings, council.inside())
    assert warnings == []
    assert facts[0].startswith("ingest.dmz_nodes.dmz: tls://127.0.0.1:")


async def test_the_node_cannot_write_what_the_inside_publishes(
    council: DmzCouncil,
) -> None:
    async with inside(council), node(council) as laptop:
        await until_ready(laptop)
        async with NatsConnection(council.node().nats, "stolen") as stolen:
            bucket = await stolen.jetstream.key_value("towpath-agents")
            assert (await bucket.get("head")).value
            with pytest.raises((jetstream_errors.NoStreamResponseError, TimeoutError)):
                await stolen.jetstream.publish(
                    "$KV.towpath-agents.head", b"", timeout=1
                )
        # `check` on a node with a credential that may: as the inside has one.
        inside_may = council.inside().ingest.dmz_nodes["dmz"]
        [warning] = await try_list(inside_may)
        assert "this node may write the list of laptops" in warning


async def test_what_is_forged_with_the_nodes_credential_stops_nothing_and_counts(
    council: DmzCouncil,
) -> None:
    switches = Schema("interface", ("device", "port"), ("in_bps",))
    forged = Batch("poll", 1, switches, ([wall_ms()], ["core-1"], ["1"], [1.0]))
    broken = Batch("x", 1, Schema("call_path", ("agent",), ("ok",)), ([1, 2], [{}]))
    async with inside(council) as running, node(council) as laptop:
        await until_ready(laptop)
        who = await enrolled(council, laptop, "planted-device-10")
        async with NatsConnection(council.node().nats, "stolen") as stolen:
            publish, subject = stolen.jetstream.publish, "towpath.journal.ingest"
            await publish(subject, b"no frame at all")
            for batch in (forged, broken):
                piece = LogPiece(msgspec.msgpack.encode(batch), len(batch))
                for message in stream_messages([piece], 1, 100_000, []):
                    await publish(subject, message.data)
        assert (await laptop.report(who, "f-1")).status_code == 200
        assert len(await until_rows(council, who, 1)) == 1
        assert not [b for b in await council.pulled() if b.measurement == "interface"]
        rows = [
            sample
            for name, source in running._sources
            if name == "node dmz"
            for sample in source(wall_ms())
        ]
        [fields] = [row.fields for row in rows]
        assert fields["refused_rows"] == 1 + 2
        assert fields["connected"] == 1
        assert 0 <= float(fields["list_age_s"]) < 60


async def test_the_server_of_the_dmz_lets_in_nobody_without_a_certificate(
    council: DmzCouncil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_connection, "_FIRST_S", 0.1)
    url = council.server.url.replace("nats:", "tls:")
    config = NatsConfig(servers=(url,), ca_file=council.authority.file)
    async with NatsConnection(config, "stranger") as stranger:
        await until(lambda: "not connected yet" not in stranger.problem)
        assert not stranger.is_connected


async def until_ready(laptop: Laptop) -> None:
    async def is_ready() -> bool:
        with contextlib.suppress(httpx2.HTTPError, ssl.SSLError):
            return bool((await laptop.client.get("/healthz")).status_code == 200)
        return False

    # A process of its own starts first, on a machine that may be busy.
    await until(is_ready, "a node that knows the laptops", 90, every_s=0.1)


async def test_all_goes_on_after_the_server_of_the_dmz_was_set_up_again(
    tmp_path: Path,
) -> None:
    with dmz_council(tmp_path) as council:
        async with inside(council), node(council) as laptop:
            await until_ready(laptop)
            who = await enrolled(council, laptop, "planted-device-7")
            assert (await laptop.report(who, "s-1")).status_code == 200
            await until_rows(council, who, 1)
            council.server.kill()
            shutil.rmtree(council.server.folder / "data")
            council.server.start()

            async def is_taken() -> bool:
                sent = await laptop.report(who, "s-2", wall_ms() + 1)
                assert sent.status_code in (200, 503), sent.text
                return bool(sent.status_code == 200)

            await until(is_taken, "reports to be taken again", every_s=0.3)
            spare = token(council)

            async def is_enrolled() -> bool:
                answer = await laptop.enrol(spare, "planted-device-8")
                assert answer.status_code in (200, 503), answer.text
                return bool(answer.status_code == 200)

            await until(is_enrolled, "enrolments to be answered again", every_s=0.5)
            assert len(await until_rows(council, who, 2)) == 2
