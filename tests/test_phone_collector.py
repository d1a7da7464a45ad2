"""Microsoft's logs of telephone calls are read over HTTPS, an hour at a time."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from append_doubles import ListAppend
from call_records import account, utc
from graph_server import GraphServer, failed, graph_server
from phone_rows import charged_row, direct_row

from collectors.calls.call_record import PersonMask
from collectors.calls.graph_client import GraphClient
from collectors.calls.graph_token import GraphToken
from collectors.calls.phone_collector import PhoneCollector

HOUR_MS = 3_600_000
BEGIN_MS = 1_790_000_000_000 // HOUR_MS * HOUR_MS
DIRECT, PLAN = "getDirectRoutingCalls", "getPstnCalls"


def direct(person: int, at_ms: int, **more: Any) -> dict[str, Any]:
    return direct_row(
        **{
            "id": f"d-{person}-{at_ms}",
            "userId": account(person),
            "userDisplayName": "Winifred Ardingly",
            "inviteDateTime": utc(at_ms - 5_000),
            "startDateTime": utc(at_ms),
            "callType": "ByotOut",
            **more,
        }
    )


def plan(person: int, at_ms: int) -> dict[str, Any]:
    return charged_row(
        id=f"p-{person}-{at_ms}",
        userId=account(person),
        startDateTime=utc(at_ms),
        callType="user_in",
    )


class Reader:
    """A collector two hours after `BEGIN_MS` has settled, and what it writes."""

    def __init__(self, server: GraphServer, folder: Path, **settings: Any) -> None:
        config = server.config(**{"phone_calls": True, **settings})
        self.state, self.append = folder / "phone_calls.json", ListAppend()
        self.state.write_text(f'{{"written_ms": {BEGIN_MS}}}')
        self.now_ms = BEGIN_MS + 8 * HOUR_MS

        async def sleep(seconds: float) -> None:
            """Waits for nothing."""

        self._graph = GraphClient(config, GraphToken(config), sleep)
        self.make = lambda: PhoneCollector(
            config,
            self.append,
            self.state,
            10,
            PersonMask(),
            lambda: self.now_ms,
            Counter(),
        )
        self.collector = self.make()

    async def round(self) -> None:
        async with self._graph as graph:
            await self.collector.read_round(graph)

    def rows(self) -> dict[tuple[int, str, str], dict[str, Any]]:
        return {
            (batch.times_ms[at] - BEGIN_MS, by, group): {
                name: batch.field(name)[at] for name in batch.schema.fields
            }
            for batch in self.append.batches
            for at, (by, group) in enumerate(
                zip(batch.tag("by"), batch.tag("group"), strict=True)
            )
        }


@contextlib.asynccontextmanager
async def reader(
    folder: Path, page: int = 60, **settings: Any
) -> AsyncIterator[tuple[GraphServer, Reader]]:
    async with graph_server(folder, page) as server:
        yield server, Reader(server, folder, **settings)


async def test_each_hour_has_the_calls_of_both_logs_that_began_in_it(
    tmp_path: Path,
) -> None:
    async with reader(tmp_path, page=7) as (server, here):
        server.phone_rows[DIRECT] = [direct(at, BEGIN_MS + at) for at in range(20)]
        # At the boundary, which both hours are sent.
        server.phone_rows[DIRECT] += [direct(1, BEGIN_MS + HOUR_MS)]
        server.phone_rows[PLAN] = [plan(at, BEGIN_MS + at) for at in range(12)]
        await here.round()
        rows = here.rows()
        assert rows[0, "all", "all"]["calls"] == 32
        assert rows[0, "trunk", "sbc1.example.gov.uk"]["answer_p95_ms"] == 5_000
        assert rows[0, "trunk", "Microsoft"]["calls"] == 12
        assert {time_ms for time_ms, _, _ in rows} == {0}
        assert here.collector.failure == ""
        assert here.collector.counts["phone_calls"] == 33
        assert here.collector.counts["phone_hours"] == 2


async def test_an_hour_is_read_once_also_after_a_restart(tmp_path: Path) -> None:
    async with reader(tmp_path) as (server, here):
        server.phone_rows[DIRECT] = [direct(at, BEGIN_MS + at) for at in range(12)]
        await here.round()
        here.collector = here.make()
        await here.round()
        assert server.requests[DIRECT] == 2
        assert len(here.append.batches) == 1


async def test_without_the_permission_one_sentence_names_it_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    async with reader(tmp_path) as (server, here):
        server.phone_rows[DIRECT] = [direct(at, BEGIN_MS + at) for at in range(12)]
        server.has_permission = False
        await here.round()
        assert "CallRecord-PstnCalls.Read.All" in here.collector.failure
        assert here.append.batches == []
        server.has_permission = True
        await here.round()
        assert here.collector.failure == ""
        assert here.rows()[0, "all", "all"]["calls"] == 12


async def test_a_failure_in_the_second_log_writes_half_of_no_hour(
    tmp_path: Path,
) -> None:
    async with reader(tmp_path) as (server, here):
        server.phone_rows[DIRECT] = [direct(at, BEGIN_MS + at) for at in range(12)]
        server.faults.extend([None, *(failed() for _ in range(4))])
        await here.round()
        assert here.collector.failure.startswith("telephone calls: Microsoft Graph")
        assert here.append.batches == []
        await here.round()
        assert here.rows()[0, "all", "all"]["calls"] == 12


async def test_it_is_off_unless_the_settings_ask_for_it(tmp_path: Path) -> None:
    async with graph_server(tmp_path) as server:
        here = Reader(server, tmp_path, phone_calls=False)
        await here.round()
        assert not server.requests


async def test_no_name_and_no_number_reaches_the_journal(tmp_path: Path) -> None:
    async with reader(tmp_path) as (server, here):
        server.phone_rows[DIRECT] = [direct(at, BEGIN_MS + at) for at in range(12)]
        await here.round()
        written = repr(here.append.batches) + here.state.read_text()
        assert "Ardingly" not in written
        assert "1632960001" not in written
