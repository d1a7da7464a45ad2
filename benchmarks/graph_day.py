"""A fake Microsoft Graph with a working day of calls, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from call_records import BEGIN_MS, end, media, network, record, session, stream, utc
from graph_server import _FILTER, GraphServer
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

PEOPLE, CALLS = 2200, 30_000
DAY_MS = 10 * 3_600_000
# What Graph sends beside the fields that are read, nearly always empty.
_EMPTY = [f"averageFigureOfMicrosoft{at}" for at in range(16)]
_MEDIA = ("main-audio", "main-video", "applicationsharing-video", "data")


def made_record(number: int) -> dict[str, Any]:
    """A call of two, or a meeting of up to ten, at an even time of the day."""
    chance = random.Random(number)
    times = _times(number, chance)
    people = [chance.randrange(1, PEOPLE) for _ in range(chance.choice((2, 3, 4, 10)))]
    if chance.random() < 0.4:
        sessions = [session("s0", end(people[0]), end(people[1]), _media(people[0]))]
    else:
        sessions = [
            session(f"s{at}", end(person), medias=_media(person))
            for at, person in enumerate(people)
        ]
    return record(sessions, number, **times)


def _times(number: int, chance: random.Random) -> dict[str, str]:
    began_ms = BEGIN_MS + number * DAY_MS // CALLS
    minutes = chance.choice((2, 5, 10, 30, 55))
    return {
        "startDateTime": utc(began_ms),
        "endDateTime": utc(began_ms + minutes * 60_000),
    }


def _media(person: int) -> list[dict[str, Any]]:
    """All media of one person, half of whom are at one of 40 sites, half at home."""
    chance = random.Random(person)
    office = f"10.150.{person % 40}.{chance.randrange(2, 250)}"
    address = office if chance.random() < 0.5 else "192.168.1.7"
    seen = network(address, **dict.fromkeys(_EMPTY))
    medias = []
    for label in _MEDIA:
        jitter = chance.choice(("PT0.004S", "PT0.016S", "PT0.045S"))
        figures = {"averageJitter": jitter, **dict.fromkeys(_EMPTY)}
        streams = [
            stream(way, **figures) for way in ("callerToCallee", "calleeToCaller")
        ]
        device = {"captureDeviceName": "of Winifred", **dict.fromkeys(_EMPTY)}
        medias.append(
            media(streams, label, callerNetwork=seen, calleeNetwork=seen)
            | {"callerDevice": device, "calleeDevice": device}
        )
    return medias


class GraphDay(GraphServer):
    """Makes each record when it is asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        made = (
            record([], number, **_times(number, random.Random(number)))
            for number in range(CALLS)
        )
        names = ("id", "version", "startDateTime", "endDateTime")
        self._rows = [{name: one[name] for name in names} for one in made]
        self._begins = [row["startDateTime"] for row in self._rows]

    async def _list(self, request: Request) -> Response:
        found = _FILTER.fullmatch(request.query_params["$filter"])
        assert found is not None
        first, last = (
            bisect_left(self._begins, utc(_ms(text))) for text in found.groups()
        )
        at = max(first, int(request.query_params.get("$skiptoken", "0")))
        page: dict[str, Any] = {"value": self._rows[at : min(last, at + self.page)]}
        if at + self.page < last:
            link = request.url.include_query_params(**{"$skiptoken": at + self.page})
            page["@odata.nextLink"] = str(link)
        return JSONResponse(page)

    async def _record(self, request: Request) -> Response:
        number = int(request.path_params["id"].rpartition("-")[2])
        return JSONResponse(made_record(number))


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


async def _serve(folder: Path) -> None:
    served = GraphDay(folder)
    await served.server.start()
    print(json.dumps({"url": served.url, "ca": str(served.authority)}), flush=True)
    await asyncio.Event().wait()


def main(words: Sequence[str]) -> None:
    asyncio.run(_serve(Path(words[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
