"""With exactly the permissions of docs/operator.md a user of NATS can do all that
Towpath does; if one is missing, `towpath check` says which."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import blocks, text_of
from journal_places import JournalPlace
from nats_servers import NatsServer, as_towpath, running_nats
from structlog.testing import capture_logs
from test_journal_log import drain, rows
from waiting import until

from alerts.standby.alert_stream import AlertStream
from collectors.journal import JournalConfig
from collectors.nats.journal_streams import BUCKETS, JournalStreams
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_trial import try_nats
from collectors.nats.nats_watch import NatsWatch
from collectors.nats.stream_scan import held_batches
from collectors.nats.stream_tidy import StreamTidy
from collectors.sharing.learnt_bucket import LearntBucket
from collectors.sharing.nats_share import ALERTING, NatsShare
from collectors.sharing.poller_presence import (
    WHOLE,
    PollerPresence,
    present_pollers,
)
from probes.wire.clock import wall_ms

_DOCUMENTED = next(
    block
    for block in blocks(text_of("docs/operator.md"), "conf")
    if "user: towpath" in block
).replace("$TOWPATH_NATS_PASSWORD", "right")
JOURNAL = JournalConfig(folder=Path("unused"), max_bytes=1 << 20, segment_bytes=1 << 16)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running_nats(tmp_path_factory.mktemp("least"), _DOCUMENTED) as server:
        yield server


async def test_with_the_documented_permissions_all_of_it_works(
    server: NatsServer, tmp_path: Path
) -> None:
    config = as_towpath(server, tmp_path)
    place = JournalPlace(tmp_path / "journal", None, nats=config)
    with capture_logs() as logs:
        assert (await try_nats(config, JOURNAL)).warnings == []
        async with (
            place.connection as connection,
            place.journal("poll") as journal,
            place.reader("store") as reader,
        ):
            await journal.append(rows(0))
            assert await drain(reader) == list(range(8))
            assert len([batch async for batch in held_batches(connection)]) == 1
            await place.until_passed(reader)
            streams = JournalStreams(connection)
            await StreamTidy(streams, "poll", place.config, journal.stats).tidy(
                wall_ms()
            )
            assert journal.stats.segments == 0
            await streams.seek("poll", "late", 0, False)
            await place.forget("late")
            with AlertStream(connection) as alerts:
                await asyncio.to_thread(alerts.state)
            async with NatsShare(connection, "a", kind=ALERTING):
                share = NatsShare(connection, "b")
                async with share:
                    await until(lambda: share.sample("poll", 0).fields["settled"])
            presence = PollerPresence(connection, "hall", WHOLE, tmp_path)
            await presence._renew()
            assert len(await present_pollers(connection)) == 1
            learnt = LearntBucket(connection)
            assert await learnt.publish("core-1", b"known")
            assert await learnt.fetch("core-1") == b"known"
            watch = NatsWatch(connection, "alert", 1 << 20)
            await watch.look()
            assert {row.fields["leader"] for row in watch.samples(0)} == {1}
            assert len(watch.samples(0)) == 6
    told = [entry for entry in logs if entry["log_level"] in ("warning", "error")]
    assert told == []


def test_every_bucket_is_among_the_documented_permissions() -> None:
    # That of laptops is on the servers of DMZ nodes.
    found = re.findall(r"\$KV\.towpath-([a-z]+)\.>", _DOCUMENTED)
    assert sorted(found) == sorted(set(BUCKETS) - {"agents"})


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        ('"$JS.API.STREAM.INFO.*", ', "$js.api.stream.info.towpath-check"),
        ('"$JS.ACK.>"', "$js.ack.towpath-check.check"),
        ('"$JS.API.STREAM.PURGE.*"', "$js.api.stream.purge.towpath-check"),
        ('"towpath.>"\n', "towpath.check"),
    ],
)
async def test_a_permission_that_is_missing_is_named(
    line: str, lacks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.nats.nats_trial._ANSWER_S", 0.5)
    monkeypatch.setattr("collectors.nats.nats_connection._API_S", 0.5)
    assert line in _DOCUMENTED
    less = _DOCUMENTED.replace(line, "")
    with running_nats(tmp_path / "nats", less) as server:
        [warning] = (await try_nats(as_towpath(server, tmp_path), JOURNAL)).warnings
    assert f"this user may not publish to {lacks}" in warning.replace('"', "")
    assert warning.startswith(f"{server.url}: ")
    assert warning.count(server.url) == 1


async def test_while_it_runs_a_missing_permission_is_the_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.nats.nats_connection._FIRST_S", 0.1)
    monkeypatch.setattr("collectors.nats.nats_connection._LOOK_ANSWER_S", 0.3)
    less = _DOCUMENTED.replace('"$JS.API.INFO", ', "")
    with running_nats(tmp_path / "nats", less) as server, capture_logs() as logs:
        connection = NatsConnection(as_towpath(server, tmp_path), "poll")
        async with connection:
            await until(lambda: "$js.api.info" in connection.problem)
    assert {entry["event"] for entry in logs} == {"nats_fails"}
