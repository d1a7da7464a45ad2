"""The demo's story: the library's line is cut, Towpath sends one page with the cause,
the line is repaired, Towpath sends the resolution and writes a report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from alerts.alert_access import open_alerts
from alerts.alert_text import describe_affected
from collectors.store.query import Pick, Query, Store, Where
from probes.wire.clock import wall_ms
from probes.wire.counted_text import counted, counted_part
from towpath.config import TowpathConfig
from towpath.demo.demo_council import LIBRARY_LINE, SWITCHES, DemoPorts
from towpath.demo.simulated_laptops import Fleet
from towpath.demo.town import Switches

# The demo goes on as soon as it can. These end it if something never happens.
_STEADY_S = 300.0
_FIND_S = 240.0
_RESOLVE_S = 240.0
_GROUPS_S = 240.0
_LINES = 5
_SHOWN = 5

Say = Callable[[str], None]
WriteReport = Callable[[], Awaitable[str]]


class Story:
    """Plays the story, prints it with `say`, and records how each part went."""

    def __init__(self, say: Say, config: TowpathConfig, ports: DemoPorts) -> None:
        self._say, self._config, self._ports = say, config, ports
        self._went: dict[str, bool] = {}
        self._pages: list[dict[str, Any]] = []
        self._began_ms = wall_ms()

    @property
    def happy(self) -> bool:
        """True if every part so far went as it should."""
        return bool(self._went) and all(self._went.values())

    def verdict(self) -> int:
        """Prints how each part went. Returns the demo's exit code."""
        for part, succeeded in self._went.items():
            self._say(f"[{'green]yes' if succeeded else 'bold red]NO '}[/]  {part}")
        return 0 if self.happy else 1

    def add_page(self, page: dict[str, Any]) -> None:
        """Prints a page or resolution that the on-call person received."""
        self._pages.append(page)
        if page["kind"] != "page":
            self._say(f"[green]{page['subject']}[/]")
            return
        self._say(f"[bold red]PAGE[/]  {page['subject']}")
        for alert in page["alerts"]:
            for label, text in (
                ("cause", alert["cause"]),
                ("affected", describe_affected(alert["affected"])),
                ("do first", alert["runbook"]),
            ):
                if text:
                    self._say(f"      {label}: {text}")

    async def play(
        self,
        switches: Switches,
        laptops: Fleet,
        store: Store,
        write_report: WriteReport,
    ) -> None:
        """Plays all parts, each as soon as the last one is done."""
        await self._wait_until_steady(laptops, store)
        self._say("[bold]a digger cuts the library's line ...[/]")
        laptops.silent_sites.add("library")
        switches.cut_library()
        await self._wait_for_page()
        self._say("[bold]the line is repaired ...[/]")
        switches.mend_library()
        laptops.silent_sites.discard("library")
        await self._wait_for_resolution()
        await self._report(store, write_report)

    async def _report(self, store: Store, write_report: WriteReport) -> None:
        """Writes the report as soon as there are calls to show."""
        absent: list[str] = []

        async def has_groups() -> bool:
            nonlocal absent
            rows = await store.query(
                Query(
                    "experience",
                    (Pick("calls", "count"),),
                    # A row's time is the start of its period.
                    self._began_ms - self._config.groups.period_s * 1000,
                    wall_ms(),
                    (Where("by", ("place",)),),
                    ("group",),
                )
            )
            groups = {row.tags.get("group") for row in rows}
            absent = [place for place in ("office", "home") if place not in groups]
            return not absent

        if not await has_groups():
            self._say("waiting for the first figures of groups of laptops ...")
        complete = await _until(has_groups, _GROUPS_S)
        self._say(f"site report: [bold]{await write_report()}[/]")
        for place in absent:
            self._say(f"[bold red]missing[/]  calls of laptops at place {place!r}")
        self._went["a site report was written"] = complete

    async def _wait_until_steady(self, laptops: Fleet, store: Store) -> None:
        state = StoryState()

        async def steady() -> bool:
            nonlocal state
            state = await query_state(store)
            return not missing_parts(state, laptops)

        complete = await _until(steady, _STEADY_S)
        self._went["all switches answer, lines carry traffic, laptops report"] = (
            complete
        )
        answering = len(SWITCHES) - len(state.silent_switches())
        reporting = len(laptops) - len(laptops.missing(state.agents))
        switches = counted_part(
            answering, len(SWITCHES), "switch(es)", "answers", "answer"
        )
        reports = counted_part(
            reporting, len(laptops), "laptop(s)", "reports", "report"
        )
        # Only this machine's agent knows its pseudonym: it is the one not in the fleet.
        own = len(state.agents) > reporting
        self._say(
            f"{switches} over SNMP; {reports}"
            + (", and this machine's own agent" if own else "")
        )
        for sentence in missing_parts(state, laptops):
            self._say(f"[bold red]missing[/]  {sentence}")

    async def _wait_for_page(self) -> None:
        def pages() -> list[dict[str, Any]]:
            return [page for page in self._pages if page["kind"] == "page"]

        async def paged() -> bool:
            return bool(pages())

        self._went["the fault was found"] = await _until(paged, _FIND_S)
        if not pages():
            self._say(f"[bold red]missing[/]  no page came within {_FIND_S:g} s")
        # Further pages, if there are any, come within a few polls.
        await asyncio.sleep(8)
        named = [
            alert
            for page in pages()
            for alert in page["alerts"]
            if alert["subject"].get("line") == LIBRARY_LINE
        ]
        self._went["the page names the cause: the library's line"] = bool(named)
        self._went["there was one page, not one for each switch"] = len(pages()) == 1
        for page in pages()[1:]:
            self._say(f"[bold red]too many[/]  {page['subject']}")
        hidden = [
            alert
            for alert in open_alerts(self._config.alerts.standing)
            if alert.suppressed_by
        ]
        self._say(
            counted(
                len(hidden),
                "alert behind that line was",
                "alerts behind that line were",
            )
            + " suppressed: "
            + ", ".join(sorted(_subject_text(alert.subject) for alert in hidden))
        )

    async def _wait_for_resolution(self) -> None:
        async def resolved() -> bool:
            return any(page["kind"] == "resolution" for page in self._pages)

        sent = await _until(resolved, _RESOLVE_S)
        self._went["a resolution was sent after the repair"] = sent
        still = open_alerts(self._config.alerts.standing)
        for alert in still if not await resolved() else ():
            self._say(
                f"[bold red]still open[/]  {alert.rule}: {_subject_text(alert.subject)}"
            )


class StoryState(msgspec.Struct, frozen=True):
    """What the store has of the last minute: the names of devices that answer, laptops
    that report, and lines with traffic."""

    devices: frozenset[str] = frozenset()
    agents: frozenset[str] = frozenset()
    lines: frozenset[str] = frozenset()

    def silent_switches(self) -> list[str]:
        return [switch.id for switch in SWITCHES if switch.id not in self.devices]


async def query_state(store: Store) -> StoryState:
    """Queries the store."""
    devices = await store.query(_latest("device", ("device",), Pick("up", "last")))
    agents = await store.query(_latest("call_path", ("agent",), Pick("ok", "count")))
    lines = await store.query(_latest("line", ("line",), Pick("down_bps", "last")))
    return StoryState(
        frozenset(r.tags["device"] for r in devices if r.values.get("up_last") == 1),
        frozenset(row.tags["agent"] for row in agents),
        frozenset(row.tags["line"] for row in lines if "down_bps_last" in row.values),
    )


def missing_parts(state: StoryState, laptops: Fleet) -> list[str]:
    """A sentence for everything that is still missing, with the reason if known."""
    sentences = []
    if silent := state.silent_switches():
        sentences.append(f"these switches do not answer: {', '.join(silent)}")
    if len(state.lines) < _LINES:
        lines = ", ".join(sorted(state.lines)) or "none"
        sentences.append(f"traffic on {len(state.lines)} of 5 lines: {lines}")
    absent = laptops.missing(state.agents)
    for laptop in absent[:_SHOWN]:
        why = laptop.trouble or "its reports are accepted but not in the store yet"
        sentences.append(f"laptop {laptop.number} ({laptop.transport}): {why}")
    if len(absent) > _SHOWN:
        sentences.append(f"and {counted(len(absent) - _SHOWN, 'more laptop')}")
    return sentences


def _latest(measurement: str, by: tuple[str, ...], *picks: Pick) -> Query:
    now_ms = wall_ms()
    return Query(measurement, picks, now_ms - 60_000, now_ms + 1_000, group_by=by)


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if await condition():
            return True
        await asyncio.sleep(0.5)
    return False


def _subject_text(subject: dict[str, str]) -> str:
    return " ".join(subject.values())
