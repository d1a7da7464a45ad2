"""What Microsoft Graph, or a proxy before it, may answer instead of calls."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from call_council import council
from call_records import meeting
from graph_server import GraphServer, failed, throttled
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from collectors.calls import graph_client
from collectors.calls.graph_client import GraphClient
from collectors.calls.graph_token import GraphToken


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (
            lambda server: setattr(server, "has_permission", False),
            "Microsoft Graph refuses (403): the application has no permission "
            "CallRecords.Read.All, or no administrator's consent to it any more",
        ),
        (
            lambda server: setattr(server, "secret", "another"),
            "Entra ID refuses the application: the secret is wrong: expected its "
            "value, not its id (AADSTS7000215)",
        ),
        (
            lambda server: server.faults.extend([failed()] * 9),
            "Microsoft Graph fails (503)",
        ),
        (
            lambda server: server.faults.extend([throttled(4000)]),
            "Microsoft Graph allows no more requests at present (429)",
        ),
        (
            lambda server: server.faults.append(failed(400)),
            "Microsoft Graph answered 400",
        ),
    ],
)
async def test_what_keeps_it_from_reading_is_one_sentence_and_loses_nothing(
    tmp_path: Path, break_it: Any, sentence: str
) -> None:
    async with council(tmp_path) as (server, here):
        server.add(meeting(12))
        break_it(server)
        told = await here.round()
        assert (told["reading"], told["state_text"]) == (0, sentence)
        assert (told["failures"], told["windows"], here.rows()) == (1, 0, {})
        server.has_permission, server.secret = True, "a secret of the application"
        server.faults.clear()
        told = await here.round()
        assert (told["reading"], told["records"]) == (1, 1)


async def test_pages_that_never_end_or_lead_elsewhere_are_refused(
    tmp_path: Path,
) -> None:
    async with council(tmp_path) as (server, here):
        page = f"{server.url}/v1.0/communications/callRecords/again"
        links = [page, page, "https://graph.example/steals-the-token"]
        server.faults.extend(
            JSONResponse({"value": [], "@odata.nextLink": link}) for link in links
        )
        told = await here.round()
        assert told["state_text"] == "Microsoft Graph's pages never end"
        told = await here.round()
        assert (
            told["state_text"] == "Microsoft Graph names another host for its next page"
        )


async def test_a_server_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    async with council(tmp_path) as (server, here):
        url = server.url
        await server.server.stop()
        told = await here.round()
        assert told["state_text"].startswith(f"{url} cannot be reached for signing in")


async def test_a_record_that_is_gone_or_never_comes_does_not_stop_the_others(
    tmp_path: Path,
) -> None:
    async with council(tmp_path) as (server, here):
        good, gone, bad = meeting(12), meeting(1, number=2), meeting(1, number=3)
        server.add(good, gone, bad)
        server.always = {gone["id"]: 404, bad["id"]: 500}
        collector = here.collector()
        for _ in range(7):
            told = await here.round(collector)
            assert (told["reading"], here.rows()) == (0, {})
        told = await here.round(collector)
        assert (told["reading"], told["left_out"], told["records"]) == (1, 1, 1)
        assert told["gone"] == 1


async def test_the_body_of_another_record_counts_as_none(tmp_path: Path) -> None:
    async with council(tmp_path) as (server, here):
        mine, other = meeting(12), meeting(12, first=40, number=2)
        server.add(mine)
        for body in (other, {"value": [mine]}):
            # The list, and then what a cache sends instead of the record.
            server.faults.extend([None, JSONResponse(body)])
            told = await here.round()
            assert (told["reading"], here.rows()) == (0, {})
            assert "other than the record that was asked for" in told["state_text"]
        assert (await here.round())["records"] == 1
        assert here.rows()["all", "all", "audio"]["people"] == 10


async def test_a_window_whose_only_record_never_comes_does_not_stop_the_next(
    tmp_path: Path,
) -> None:
    async with council(tmp_path) as (server, here):
        bad = meeting(1)
        server.add(bad)
        server.always = {bad["id"]: 500}
        collector = here.collector()
        collector._tries[bad["id"]] = 94  # In a day, less two rounds.
        assert (await here.round(collector))["windows"] == 0
        told = await here.round(collector)
        assert (told["reading"], told["left_out"], told["windows"]) == (1, 1, 1)


@pytest.mark.parametrize(
    "answer",
    [
        HTMLResponse("<html>of the proxy</html>"),
        Response(json.dumps(meeting(12))[:5000], media_type="application/json"),
        JSONResponse({"error": {"code": "generalException"}}),
    ],
)
async def test_a_record_that_is_no_record_is_asked_for_again(
    tmp_path: Path, answer: Response
) -> None:
    async with council(tmp_path) as (server, here):
        server.add(meeting(12))
        server.faults.extend([None, answer])
        told = await here.round()
        assert (told["reading"], told["records"], told["server_errors"]) == (1, 1, 1)
        server.faults.extend([answer] * 4)
        told = await here.round()
        assert "no record and no list: a proxy in between" in told["state_text"]


def _loop(server: GraphServer, id: str) -> None:
    link = f"{server.url}/v1.0/communications/callRecords/{id}"
    link += "?$expand=sessions($expand=segments)"
    server.records[id]["sessions@odata.nextLink"] = link


def _elsewhere(server: GraphServer, id: str) -> None:
    server.records[id]["sessions@odata.nextLink"] = "https://graph.example/x"


def _refused(server: GraphServer, id: str) -> None:
    server.always = {id: 400}


@pytest.mark.parametrize("break_it", [_loop, _elsewhere, _refused])
async def test_one_record_that_cannot_be_read_does_not_stop_the_others_for_ever(
    tmp_path: Path, break_it: Any
) -> None:
    async with council(tmp_path) as (server, here):
        bad = meeting(1, number=2)
        server.add(meeting(12), bad)
        break_it(server, bad["id"])
        collector = here.collector()
        for _ in range(8):
            told = await here.round(collector)
        assert (told["reading"], told["left_out"], told["records"]) == (1, 1, 1)


async def test_an_answer_that_never_finishes_or_is_too_large_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def drops() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    async with council(tmp_path) as (server, here):
        server.faults.extend(StreamingResponse(drops()) for _ in range(4))
        monkeypatch.setattr(graph_client, "_LONGEST_ANSWER_S", 0.05)
        told = await here.round()
        assert told["state_text"].endswith("cannot be reached, or does not finish")
        monkeypatch.setattr(graph_client, "_LONGEST_ANSWER_S", 60.0)
        monkeypatch.setattr(graph_client, "_MAX_BYTES", 1 << 20)
        packed = gzip.compress(b" " * (4 << 20))
        server.faults.append(Response(packed, headers={"Content-Encoding": "gzip"}))
        told = await here.round()
        assert told["state_text"] == "Microsoft Graph sent a page of over 1 MB"


async def test_with_a_clock_that_is_ahead_no_window_is_written(tmp_path: Path) -> None:
    async with council(tmp_path) as (server, here):
        server.add(meeting(12))
        collector = here.collector()
        ahead = GraphClient(
            here.config, GraphToken(here.config), clock_s=lambda: 4_000_000_000.0
        )
        here.graph = ahead
        told = await here.round(collector)
        assert (told["reading"], told["windows"]) == (0, 0)
        assert "minutes ahead of Microsoft's" in told["state_text"]
        assert "this machine's clock is" in told["state_text"]


async def test_a_call_that_ends_in_a_far_year_counts_when_it_began(
    tmp_path: Path,
) -> None:
    async with council(tmp_path) as (server, here):
        server.add({**meeting(12), "endDateTime": "9999-12-31T23:59:59.9999999Z"})
        told = await here.round()
        assert (told["records"], told["waiting"]) == (1, 0)
        assert told["odd_ends_too_late"] == 1
        assert here.rows()["all", "all", "audio"]["people"] == 10
