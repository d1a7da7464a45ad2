"""Rooms with live events: a card for each, and a page to watch during the event."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from collectors.estate.estate_model import Room
from collectors.natural_order import natural_order
from collectors.store.query import Row
from dashboards.chart import Chart
from dashboards.event_calls import event_calls, event_queries
from dashboards.figure_text import per_second, percent, rate, short_number
from dashboards.query_cache import rounded
from dashboards.web import page_queries
from dashboards.web.page_queries import DAY_MS, MINUTE_MS
from dashboards.web.page_ranges import RANGES, PageRange, chosen_range
from dashboards.web.page_views import Overview, Views
from dashboards.web.range_charts import range_chart, row_series
from dashboards.web.room_cards import (
    RoomCard,
    checked_times,
    earlier_checks,
    in_order,
    room_card,
)
from dashboards.web.site_filter import MAX_TEXT

# How far back the page of a room has events.
_PAST_DAYS = 14


class RoomPages:
    """`show` renders a template with values, and returns the answer."""

    def __init__(self, views: Views, show: Callable[..., Response]) -> None:
        self._views, self._show = views, show

    async def rooms(self, request: Request) -> Response:
        view = await self._views.overview()
        cards = await self._cards(view)
        known = cards is not None
        listed = in_order(cards or [], view.now_ms)
        due = [card for card in listed if card.is_due(view.now_ms)]
        return self._show(
            "rooms.html",
            here="rooms",
            view=view,
            known=known,
            due=await asyncio.gather(*(self._with_past(card, view) for card in due)),
            later=[card for card in listed if card not in due],
        )

    async def room(self, request: Request) -> Response:
        wanted = request.path_params["room"]
        shown = chosen_range(request.query_params.get("range", ""))
        view = await self._views.overview()
        room = next((room for room in view.estate.rooms if room.id == wanted), None)
        if room is None:
            raise HTTPException(404, f"There is no room called {wanted[:MAX_TEXT]}.")
        cards = await self._cards(view)
        card = next((card for card in cards or () if card.room.id == wanted), None)
        if card is not None:
            card = await self._with_past(card, view)
        span = shown.span(view.now_ms)
        past = rounded(view.now_ms) - _PAST_DAYS * DAY_MS, rounded(view.now_ms)
        figures, ports, *calls = await self._views.answers.all(
            page_queries.room_figures(span, wanted, shown.step_ms),
            page_queries.room_ports(span, wanted, shown.step_ms),
            *event_queries(past, [room]),
        )
        answers = [rows for rows in calls if rows is not None]
        events = None
        if len(answers) == len(calls):
            events = event_calls([room], answers, view.now_ms)
        return self._show(
            "room.html",
            here="rooms",
            view=view,
            card=card,
            room=room,
            charts=_charts(
                room,
                figures or [],
                ports or [],
                shown,
                view.now_ms,
                self._views.zone,
            ),
            ranges=RANGES,
            shown=shown,
            range_link=lambda key: f"?range={key}#graphs",
            events=events,
            past_days=_PAST_DAYS,
        )

    async def _cards(self, view: Overview) -> list[RoomCard] | None:
        """Returns a card for each room; None if the store does not answer."""
        rows = await self._views.answers.query(
            page_queries.room_now(rounded(view.now_ms))
        )
        if rows is None:
            return None
        latest = {row.tags.get("room", ""): row for row in rows}
        devices = {now.device.id: now for now in view.devices}
        return [
            room_card(
                room,
                latest.get(room.id),
                view.estate,
                devices,
                view.lines,
                view.silences,
                view.now_ms,
            )
            for room in view.estate.rooms
        ]

    async def _with_past(self, card: RoomCard, view: Overview) -> RoomCard:
        """Returns the card with what was recorded before the event."""
        times = checked_times(card, view.now_ms)
        answers = await self._views.answers.all(
            *(
                page_queries.room_at(rounded(at_ms, MINUTE_MS), card.room.id)
                for _, at_ms in times
            )
        )
        earlier = tuple(
            check
            for (minutes, _), rows in zip(times, answers, strict=True)
            for check in earlier_checks(card, minutes, rows[0] if rows else None)
        )
        return dataclasses.replace(card, earlier=earlier)


def _charts(
    room: Room,
    figures: list[Row],
    ports: list[Row],
    shown: PageRange,
    now_ms: int,
    zone: ZoneInfo,
) -> list[Chart]:
    by_port: dict[tuple[str, str], list[Row]] = {}
    for row in ports:
        key = row.tags.get("device", ""), row.tags.get("port", "")
        by_port.setdefault(key, []).append(row)
    charts = [
        range_chart(
            f"port-{n}",
            f"{port or 'Port without a name'} of {device}",
            shown,
            now_ms,
            zone,
            (
                row_series("From the room", rows, "in_bps_p95"),
                row_series("To the room", rows, "out_bps_p95"),
            ),
            rate,
            least_top=1000.0,
        )
        for n, ((device, port), rows) in enumerate(
            sorted(by_port.items(), key=lambda item: tuple(map(natural_order, item[0])))
        )
    ]
    kinds: list[tuple[str, str, str, Callable[[float], str], float]] = [
        ("errors", "Damaged packets", "in_errors_per_s_mean", per_second, 0.0),
        ("rtt", "Round trip to its slowest device", "rtt_ms_mean", _ms, 1.0),
        ("loss", "Echoes lost", "loss_ratio_mean", _loss, 0.01),
    ]
    if room.stream_url:
        title = "Live stream: seconds since its newest segment"
        kinds.insert(0, ("stream", title, "stream_age_s_max", _seconds, 10.0))
    return charts + [
        range_chart(
            id,
            title,
            shown,
            now_ms,
            zone,
            (row_series(title, figures, column),),
            say,
            least_top=least,
        )
        for id, title, column, say, least in kinds
    ]


def _seconds(value: float) -> str:
    return short_number(value, "s", 1)


def _loss(value: float) -> str:
    # Calls suffer from less than 1%, so whole per cent would say 0%.
    return percent(value, 1)


def _ms(value: float) -> str:
    return short_number(value, "ms", 1)
