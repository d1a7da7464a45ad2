"""The status page of the made-up council, with a test client."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import council
from starlette.testclient import TestClient
from store_doubles import AlertList, MemoryStore

from collectors.estate import Estate
from dashboards.web import FleetSource, StatusPage, WebConfig, page_queries, site_state

NOW_MS = 1_795_000_000_000 + 37 * 60_000
DARK = (NOW_MS - 9 * council.HOUR_MS, NOW_MS - 8 * council.HOUR_MS)
DOWN = {
    "dep-sw1": (NOW_MS - 42 * council.MINUTE_MS, NOW_MS + council.HOUR_MS),
    "dep-sw2": (NOW_MS - 41 * council.MINUTE_MS, NOW_MS + council.HOUR_MS),
}
CSS = Path(site_state.__file__).parents[1].joinpath("look.css").read_text()


def page_store(until_ms: int = NOW_MS) -> MemoryStore:
    long = council.samples(
        NOW_MS - page_queries.DAY_MS, until_ms, 10 * council.MINUTE_MS, (DARK,), DOWN
    )
    fresh = council.samples(until_ms - council.HOUR_MS, until_ms, down=DOWN)
    return MemoryStore([*long, *fresh])


STORE = page_store()


@contextmanager
def page_client(
    store: Any = STORE,
    alerts: Any = None,
    estate: Estate | None = None,
    now_ms: int = NOW_MS,
    unwell: Callable[[int], Sequence[str]] = lambda now_ms: (),
    laptops: FleetSource | None = None,
    peer: str = "192.0.2.7",
    **config: Any,
) -> Iterator[TestClient]:
    source = AlertList(council.alerts(now_ms)) if alerts is None else alerts
    shown_estate = council.estate() if estate is None else estate
    page = StatusPage(
        WebConfig(**config),
        lambda: shown_estate,
        source,
        store,
        now_ms=lambda: now_ms,
        unwell=unwell,
        fleet=laptops,
    )
    with TestClient(
        page.app, base_url="http://localhost", client=(peer, 50000)
    ) as client:
        yield client


def page_text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())
