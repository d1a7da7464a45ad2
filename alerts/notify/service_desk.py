"""`ServiceDesk`: one ticket for each cause, in a product that is described by data.

The ticket has a correlation id, made of the alert's episode, which is looked up before
one is opened: a process that was killed between opening it and writing that down opens
no second one. What a person has taken (assigned, or any other state than new) is never
resolved by Towpath: it gets a note. What begins again goes on in its ticket.
"""

from __future__ import annotations

import copy
import hashlib
import html
import json
from collections.abc import Mapping
from typing import Any

import structlog

from alerts.alert import Alert
from alerts.notify.alert_changes import alert_changes
from alerts.notify.delivery_result import DeliveryRefused, PartlyDelivered, RetryLater
from alerts.notify.desk_access import DeskAccess
from alerts.notify.desk_product import (
    DeskProduct,
    DeskRequest,
    DeskState,
    fill,
    pick,
)
from alerts.notify.desk_settings import ServiceDeskConfig
from alerts.notify.page import Page, PageAlert
from probes.wire.catalogue import did_you_mean
from probes.wire.clock import WallClock, wall_ms
from probes.wire.display import displayable, shortened

_log = structlog.get_logger()
_MOST_TITLE = 150
_MOST_REMEMBERED = 10_000
# A ticket that is not found this long after the end of its alert was deleted.
_FIND_FOR_MS = 600_000
_Ticket = dict[str, Any]


class ServiceDesk:
    """Opens, follows and ends tickets. The product's file is read at the first use, so
    that an error in it costs no other channel anything."""

    def __init__(self, config: ServiceDeskConfig, now_ms: WallClock = wall_ms) -> None:
        self._config, self._now_ms = config, now_ms
        self._loaded: tuple[DeskProduct, DeskAccess] | None = None
        # Episode → id of its ticket: a new ticket may be missing in a search.
        self._ticket_ids: dict[str, str] = {}
        self._begun: set[str] = set()
        self.refresh_s = config.refresh_s

    @property
    def where(self) -> str:
        try:
            return self._desk()[1].where
        except RetryLater:
            return f"service desk {self._config.product or self._config.product_file}"

    async def notify(self, page: Page) -> None:
        """Opens a ticket for each alert that began, and ends those that are over.
        Raises `PartlyDelivered` if a field of a new ticket was ignored."""
        product, access = self._desk()
        episodes = {item.episode for item in page.alerts if not item.is_over}
        tried_elsewhere = page.is_retry and bool(episodes - self._begun)
        self._begun |= episodes
        if tried_elsewhere and product.search_lag_s:
            # Another process tried; its ticket may not be in a search yet.
            raise RetryLater(
                f"{access.where}: waits until a ticket of an earlier attempt is found",
                after_s=product.search_lag_s,
                may_have_arrived=True,
            )
        ignored = []
        for item in page.alerts:
            if item.is_over:
                await self._end(item)
            elif await self._find(item.episode) is None:
                ignored += await self._continue(item)
        self._begun -= episodes
        if ignored:
            raise PartlyDelivered(f"{access.where}: {'; '.join(ignored)}")

    async def refresh(self, page: Page, told: Mapping[str, Alert]) -> None:
        """Adds a note to the tickets of alerts that changed since `told`."""
        failures: list[RetryLater | DeliveryRefused] = []
        for item in page.alerts:
            changes = alert_changes(told[item.episode], item.alert)
            if not changes:
                continue
            try:
                ticket = await self._ticket_of(item)
                if ticket is not None and not self._is_closed(ticket):
                    await self._add_note(item, ticket, "\n".join(changes))
            except (RetryLater, DeliveryRefused) as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _desk(self) -> tuple[DeskProduct, DeskAccess]:
        if self._loaded is None:
            problems = list(self._config.problems())
            if problems:
                raise RetryLater(f"service desk: {problems[0]}")
            product = self._config.load()
            self._loaded = (product, DeskAccess(self._config, product, self._now_ms))
        return self._loaded

    async def _find(self, episode: str) -> _Ticket | None:
        product, access = self._desk()
        correlation = correlation_id(episode)
        if known := self._ticket_ids.get(episode):
            values = self._values() | {"ticket_id": known}
            try:
                answer = await access.send(product.get, values)
            except DeliveryRefused as error:
                if "404" not in str(error):
                    raise
            else:
                ticket = pick(answer.data, product.get.answer)
                if isinstance(ticket, dict):
                    return ticket
        values = self._values() | {"correlation_id": correlation}
        answer = await access.send(product.find, values)
        found = pick(answer.data, product.find.answer)
        for ticket in found if isinstance(found, list) else ():
            if isinstance(ticket, dict) and correlation in json.dumps(
                pick(ticket, product.find_match)
            ):
                self._remember(episode, ticket)
                return ticket
        return None

    async def _ticket_of(self, item: PageAlert) -> _Ticket | None:
        """Its own ticket, or that of the alert which it continues."""
        ticket = await self._find(item.episode)
        if ticket is None and item.alert.follows:
            ticket = await self._find(item.alert.follows)
        return ticket

    async def _continue(self, item: PageAlert) -> list[str]:
        """Goes on in the ticket of the alert that has begun again, which is opened
        again if Towpath had resolved it. Without one, or if people have closed it,
        opens a ticket; returns a sentence if something of that was ignored."""
        product, access = self._desk()
        ticket = await self._find(item.alert.follows) if item.alert.follows else None
        if ticket is None:
            return await self._open(item)
        text = f"It was over, and has begun again.\n{item.text}"
        values = self._note_values(item, ticket, text, "again")
        if await self._has_note(values):
            return []
        if self._is_closed(ticket):
            if product.reopen is None or not self._may_reopen(ticket):
                name = values["ticket_name"]
                return await self._open(item, f"Ticket {name} about it is closed.\n\n")
            await access.send(product.reopen, values)
        await access.send(product.note, values)
        return []

    async def _open(self, item: PageAlert, before: str = "") -> list[str]:
        """Opens the ticket; returns a sentence if something of it was ignored."""
        product, access = self._desk()
        values = self._alert_values(item, before)
        body = with_fields(product, self._config.fields)
        request = product.create.model_copy(update={"body": body})
        try:
            answer = await access.send(request, values)
        except RetryLater as error:
            if error.may_have_arrived and product.search_lag_s:
                lag_s = max(error.after_s or 0.0, product.search_lag_s)
                raise RetryLater(str(error), lag_s, True) from None
            raise
        ticket = pick(answer.data, product.create.answer)
        if not isinstance(ticket, dict) or pick(ticket, product.ticket_id) is None:
            raise DeliveryRefused(
                f"{access.where}: its answer has no ticket: is that the address of its "
                "API?"
            )
        self._remember(item.episode, ticket)
        name = pick(ticket, product.ticket_name)
        _log.info("ticket_opened", ticket=str(name), alert=item.alert.key)
        if not product.ignores_unknown:
            return []
        ignored = list(ignored_fields(fill(body, values), ticket))
        return [f"ticket {name} was opened, but {why}" for why in ignored]

    async def _end(self, item: PageAlert) -> None:
        product, access = self._desk()
        ticket = await self._ticket_of(item)
        if ticket is None and item.is_new:
            await self._open(item)
            ticket = await self._find(item.episode)
        if ticket is None:
            over_ms = item.alert.resolved_ms or self._now_ms()
            if self._now_ms() - over_ms < _FIND_FOR_MS:
                raise RetryLater(f"{access.where}: the ticket is not found yet")
            _log.warning("ticket_not_found", alert=item.alert.key)
            return
        if self._is_closed(ticket):
            return
        resolves = self._may_resolve() and self._is_untouched(ticket)
        text = item.text if resolves else f"{item.text}\nTowpath leaves it open."
        values = await self._add_note(item, ticket, text)
        if resolves and product.resolve is not None:
            await access.send(product.resolve, values)

    async def _add_note(
        self, item: PageAlert, ticket: _Ticket, text: str
    ) -> dict[str, Any]:
        """Adds the note unless the ticket has it; returns the values for requests."""
        product, access = self._desk()
        values = self._note_values(item, ticket, text, text)
        if not await self._has_note(values):
            await access.send(product.note, values)
        return values

    def _note_values(
        self, item: PageAlert, ticket: _Ticket, text: str, about: str
    ) -> dict[str, Any]:
        """`about`: what tells the notes about one alert apart."""
        product = self._desk()[0]
        digest = hashlib.sha256(f"{item.episode}\n{about}".encode()).hexdigest()[:12]
        marker = f"towpath-note-{digest}"
        note = f"{text}\n{marker}"
        return self._alert_values(item) | {
            "note": note,
            "note_html": _as_html(note),
            "marker": marker,
            "ticket_id": pick(ticket, product.ticket_id),
            "ticket_name": pick(ticket, product.ticket_name),
        }

    async def _has_note(self, values: dict[str, Any]) -> bool:
        product, access = self._desk()
        if product.has_note is None:
            return False
        answer = await access.send(product.has_note, values)
        return values["marker"] in answer.text

    def _may_resolve(self) -> bool:
        return self._config.resolve and self._may_send(self._desk()[0].resolve)

    def _may_reopen(self, ticket: _Ticket) -> bool:
        """Whether Towpath has resolved it, and nobody has touched it."""
        product = self._desk()[0]
        return (
            self._may_resolve()
            and self._may_send(product.reopen)
            and self._is_in(ticket, product.resolved or product.closed)
            and all(
                self._is_in(ticket, state)
                for state in product.untouched
                if state.field != product.closed.field
            )
        )

    def _may_send(self, request: DeskRequest | None) -> bool:
        """Whether the product has it, and the council has set what it needs."""
        values = self._values()
        return request is not None and all(values.get(name) for name in request.needs)

    def _is_untouched(self, ticket: _Ticket) -> bool:
        return all(self._is_in(ticket, state) for state in self._desk()[0].untouched)

    def _is_closed(self, ticket: _Ticket) -> bool:
        return self._is_in(ticket, self._desk()[0].closed)

    def _is_in(self, ticket: _Ticket, state: DeskState) -> bool:
        value = pick(ticket, state.field)
        listed = fill(state.values, self._values())
        return value in listed or str(value) in [str(one) for one in listed if one]

    def _values(self) -> dict[str, Any]:
        defaults = {k: v for k, v in self._desk()[0].values.items() if v is not None}
        return {**defaults, **self._config.values}

    def _alert_values(self, item: PageAlert, before: str = "") -> dict[str, Any]:
        """`before`: what stands before the text of the alert."""
        product, alert = self._desk()[0], item.alert
        text = before + item.text
        by_severity = {
            name: choices.get(alert.severity, "")
            for name, choices in product.by_severity.items()
        }
        return {
            **by_severity,
            **self._values(),
            "correlation_id": correlation_id(item.episode),
            "title": shortened(
                displayable(" ".join(alert.summary.split())), _MOST_TITLE
            ),
            "text": text,
            "text_html": _as_html(text),
            "url": item.url,
            "severity": alert.severity,
            "site": alert.site,
            "site_name": item.site_name,
            "device": alert.subject.get("device", ""),
            "rule": alert.rule,
        }

    def _remember(self, episode: str, ticket: _Ticket) -> None:
        while len(self._ticket_ids) >= _MOST_REMEMBERED:
            self._ticket_ids.pop(next(iter(self._ticket_ids)))
        id = pick(ticket, self._desk()[0].ticket_id)
        if id is not None:
            self._ticket_ids[episode] = str(id)


def correlation_id(episode: str) -> str:
    """What the ticket of an alert is found by: letters, digits and dashes, so that no
    query language reads more into it. Pure."""
    return f"towpath-{hashlib.sha256(episode.encode()).hexdigest()[:24]}"


def with_fields(product: DeskProduct, fields: Mapping[str, Any]) -> Any:
    """The body of a new ticket with a council's own fields. Pure."""
    body = copy.deepcopy(product.create.body)
    place = pick(body, product.fields_at)
    if isinstance(place, dict):
        # Braces of a council's own texts are no placeholders.
        place.update(fields)
    return body


def ignored_fields(sent: Any, ticket: _Ticket) -> list[str]:
    """A reason for each field of a new ticket that the desk has dropped. Pure."""
    reasons = []
    for name, value in sent.items() if isinstance(sent, dict) else ():
        if name not in ticket:
            hint = did_you_mean(name, ticket)
            reasons.append(f"it has no field {name!r}{hint}")
        elif value not in ("", None) and ticket[name] in ("", None):
            reasons.append(f"{name} does not accept {value!r}")
    return reasons


def _as_html(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")
