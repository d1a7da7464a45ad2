"""How NATS is reaches the board, and the rules even while the journal is away."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from append_doubles import NullAppend
from hypothesis import given
from hypothesis import strategies as st
from journal_places import JournalPlace
from nats.js import errors as jetstream_errors
from nats.js.api import KeyValueConfig
from nats_servers import NatsServer, running_nats
from test_journal_log import drain, rows
from waiting import until

from alerts.standby.alert_stream import AlertStream
from collectors.batch import Batch
from collectors.estate import EstateFile
from collectors.nats import stream_log
from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_buckets import open_bucket
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_watch import NatsWatch, connection_sample
from collectors.nats.stream_health import StreamHealth, stream_health, without_leader
from collectors.personal_data import PERSONAL_DAYS
from collectors.self_metrics import SelfMonitor
from collectors.snmp.session.credentials import Credentials
from probes.wire.clock import wall_ms
from towpath.config import read
from towpath.role_parts import build_poller


def _info(**changes: Any) -> dict[str, Any]:
    state = {"messages": 2, "bytes": 50, "last_seq": 9}
    return {
        "state": {**state, "first_ts": "2026-11-30T08:00:00.5Z"},
        **changes,
    }


@given(current=st.lists(st.booleans(), max_size=2), offline=st.booleans())
def test_only_servers_with_the_newest_messages_count_as_replicas(
    current: list[bool], offline: bool
) -> None:
    peers = [{"current": each, "offline": offline} for each in current]
    cluster = {"leader": "n1", "replicas": peers}
    health = stream_health(_info(cluster=cluster), [], 100, 3)
    there = 0 if offline else sum(current)
    assert health.replicas_missing == 2 - there
    assert health.used_ratio == 0.5


def test_the_reader_with_most_unread_messages_is_named() -> None:
    readers = [
        {"name": "store", "ack_floor": {"stream_seq": 9}, "num_pending": 0},
        {"name": "alert", "ack_floor": {"stream_seq": 2}, "num_pending": 7},
        # It has been made after the first seven were deleted.
        {"name": "groups", "ack_floor": {"stream_seq": 0}, "num_pending": 2},
    ]
    health = stream_health(_info(), readers, None, 1)
    assert (health.slowest, health.unread, health.used_ratio) == ("alert", 7, None)


def test_without_a_leader_nothing_else_is_stated() -> None:
    assert stream_health(_info(cluster={}), [], 100, 3).fields(0) == {"leader": 0}


def test_a_stream_for_which_nobody_answers_has_no_leader() -> None:
    assert without_leader(TimeoutError()) == StreamHealth(leader=False)
    assert without_leader(jetstream_errors.NotFoundError()) is None


async def test_streams_are_reported_with_what_is_unread(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    place = JournalPlace(tmp_path, nats_server)
    async with (
        place.connection,
        place.journal("poll") as journal,
        place.reader("store") as reader,
    ):
        watch = NatsWatch(place.connection, "alert", 1 << 20)
        await journal.append(rows(0))
        await watch.look()
        now_ms = wall_ms()
        nats = connection_sample(place.connection, "alert", now_ms)
        assert nats.fields == {"connected": 1, "answers": 1}
        [stream] = watch.samples(now_ms)
        assert stream.tags["stream"] == f"{place.nats.prefix}-poll"
        assert stream.fields["leader"] == stream.fields["replicas"] == 1
        assert stream.fields["replicas_missing"] == 0
        assert (stream.fields["unread"], stream.fields["slowest"]) == (1, "store")
        assert 0 <= float(stream.fields["age_s"]) < 3_600
        assert await drain(reader) == list(range(8))
        await place.until_passed(reader)
        await watch.look()
        [stream] = watch.samples(now_ms)
        assert stream.fields["unread"] == 0


async def test_all_that_an_installation_has_on_the_servers_is_looked_at(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    place = JournalPlace(tmp_path, nats_server)
    prefix = place.nats.prefix
    async with place.connection as connection:
        with AlertStream(connection) as alerts:
            await asyncio.to_thread(alerts.state)
        for bucket in ("pollers", "alerting", "agents"):
            await open_bucket(connection, f"{prefix}-{bucket}")
        # Another installation on the same servers, and something else.
        for name in (f"{prefix}-too-pollers", f"{prefix}-other"):
            config = KeyValueConfig(bucket=name)
            await connection.jetstream.create_key_value(config)
        with pytest.raises(ValueError, match="expected one of"):
            await open_bucket(connection, f"{prefix}-other")
        watch = NatsWatch(connection, "ingest", node="dmz")
        await watch.look()
    rows = {sample.tags["stream"]: sample.fields for sample in watch.samples(0)}
    assert set(rows) == {
        f"dmz/{prefix}_alerts",
        *(f"dmz/KV_{prefix}-{name}" for name in ("pollers", "alerting", "agents")),
    }
    assert {fields["leader"] for fields in rows.values()} == {1}
    assert not any("used_ratio" in fields for fields in rows.values())


async def test_every_page_of_a_list_of_readers_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everyone = [{"name": f"reader{n}"} for n in range(600)]

    async def answer(_: object, name: str, body: dict[str, int]) -> dict[str, Any]:
        assert name == "CONSUMER.LIST.towpath-poll"
        page = everyone[body["offset"] : body["offset"] + 256]
        return {"consumers": page, "total": len(everyone)}

    monkeypatch.setattr(JournalStreams, "_request", answer)
    streams = JournalStreams(NatsConnection(NatsConfig(), "alert"))
    assert await streams.reader_infos("towpath-poll") == everyone


@pytest.mark.parametrize(("kind", "looks"), [("files", True), ("nats", False)])
def test_with_a_journal_in_files_a_poller_looks_at_the_buckets_it_shares(
    kind: str, looks: bool, tmp_path: Path
) -> None:
    (tmp_path / "estate.toml").write_text("")
    settings = tmp_path / "towpath.toml"
    settings.write_text(
        f'estate = "{tmp_path}/estate.toml"\n[journal]\nkind = "{kind}"\n'
        "[snmp]\nshare = true\n"
    )
    config = read(settings)
    _, pieces, sources = build_poller(
        config,
        EstateFile(config.estate),
        Credentials({}),
        NullAppend(),
        "poll",
        wall_ms,
    )
    assert ("watch of NATS" in dict(pieces)) is looks
    assert ("streams" in dict(sources)) is looks


async def test_the_servers_keep_nothing_for_longer_than_thirty_days(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    place = JournalPlace(tmp_path, nats_server)
    async with place.connection as connection:
        streams = JournalStreams(connection)
        await streams.ensure("ingest", place.config.max_days)
        info = await connection.jetstream.stream_info(streams.stream("ingest"))
    assert info.config.max_age == PERSONAL_DAYS * 86_400


async def test_that_the_journal_is_away_is_shown_to_the_rules_without_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_log, "_GIVE_UP_S", 0.1)
    shown: list[Batch] = []
    with running_nats(tmp_path / "nats") as server:
        place = JournalPlace(tmp_path, server)
        async with place.connection, place.journal("alert") as journal:
            journal.show_refused(shown.append)
            _, sources = place.kind.pieces(looks_at_streams=True)
            monitor = SelfMonitor("alert", sources, journal, wall_ms, 0.2)
            server.kill()
            await until(lambda: bool(place.connection.problem))
            async with monitor:
                await until(lambda: bool(shown))
    [sample] = shown[0].samples()
    assert sample.fields == {"connected": 0, "answers": 0}
