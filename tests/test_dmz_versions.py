"""A DMZ node, or any writer of a stream, of another version than its reader."""

from __future__ import annotations

from pathlib import Path

import pytest
from append_doubles import ListAppend
from journal_places import JournalPlace
from nats_servers import NatsServer
from structlog.testing import capture_logs
from test_journal_log import ids, rows
from waiting import until

from collectors.journal import frame
from collectors.nats import nats_trial, stream_pull
from collectors.nats.journal_streams import JournalStreams
from collectors.nats.stream_pull import StreamPull

pytestmark = pytest.mark.service


def newer(monkeypatch: pytest.MonkeyPatch, writes: int, reads: int) -> None:
    """Another version writes frames than the one that reads them."""
    monkeypatch.setattr(frame, "VERSION", reads)
    monkeypatch.setattr(nats_trial, "VERSION", reads)
    known = frame._HEAD.pack

    class Head:
        size, unpack_from = frame._HEAD.size, frame._HEAD.unpack_from

        def pack(self, marker: bytes, version: int, *more: int) -> bytes:
            return known(marker, writes, *more)

    monkeypatch.setattr(frame, "_HEAD", Head())


async def test_a_node_that_is_upgraded_first_loses_nothing_and_stops_no_other(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, append = JournalPlace(tmp_path / "node", nats_server), ListAppend()
    head = frame._HEAD
    monkeypatch.setattr(stream_pull, "_RETRY_S", 0.05)

    def pull() -> StreamPull:
        inside = tmp_path / "inside"
        return StreamPull(place.connection, "dmz a", "inside", inside, append, list)

    def received() -> list[object]:
        return [id for batch in append.batches for id in ids([batch])]

    def waiting(pull: StreamPull) -> object:
        return pull.sample("ingest", 0).fields["newer_logs"]

    async with (
        place.connection,
        place.journal("new") as new,
        place.journal("old") as old,
    ):
        await new.append(rows(1, 1))
        async with pull() as before:
            await until(lambda: received() == [1], "what it wrote before")
            newer(monkeypatch, writes=2, reads=1)
            with capture_logs() as logs:
                await new.append(rows(2, 1))
                await until(lambda: waiting(before) == 1, "it to be counted")
                monkeypatch.setattr(frame, "_HEAD", head)
                await old.append(rows(3, 1))
                await until(lambda: received() == [1, 3], "the other log")
            said = [log for log in logs if "version 2" in str(log)]
            assert [(log["event"], log["log"]) for log in said] == [
                ("journal_newer", "new")
            ]
            streams = JournalStreams(place.connection)
            stream = streams.stream("new")
            last_seq = (await streams.info(stream))["state"]["last_seq"]
            [warning] = await nats_trial._judge_version(
                place.connection, stream, "new", last_seq
            )
            assert "the log new has frames of version 2" in warning
        # The inside is upgraded.
        newer(monkeypatch, writes=2, reads=2)
        async with pull() as after:
            await until(lambda: received() == [1, 3, 2], "what waited")
            assert waiting(after) == 0
