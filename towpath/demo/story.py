"""The demo's story: all is well, the library's line is cut, Towpath says so in one
page with the cause, the line is mended, Towpath says that too, and writes a report."""

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
from towpath.config import TowpathConfig
from towpath.demo.demo_council import LIBRARY_LINE, SWITCHES, DemoPorts
from towpath.demo.simulated_laptops import Fleet
from towpath.demo.town import Switches

# The demo waits for what it needs; these only end it when that never comes.
_STEADY_S = 300.0
_FIND_S = 240.0
_RESOLVE_S = 240.0
_GROUPS_S = 240.0
_LINES = 5
_SHOWN = 5

Say = Callable[[str], None]
WriteReport = Callable[[], Awaitable[str]]


class Story:
    """Tells it with `say` and remembers how each part went."""

    def __init__(self, say: Say, config: TowpathConfig, ports: DemoPorts) -> None:
        self._say, self._config, self._ports = say, config, ports
        self._went: dict[str, bool] = {}
        self._pages: list[dict[str, Any]] = []
        self._began_ms = wall_ms()

    @property
    def happy(self) -> bool:
        """True where every part that was told went as it should."""
        return bool(self._went) and all(self._went.values())

    def verdict(self) -> int:
        """Says how it went; the demo's exit code."""
        for part, went in self._went.items():
            self._say(f"[{'green]yes' if went else 'bold red]NO '}[/]  {part}")
        return 0 if self.happy else 1

    def heard(self, page: dict[str, Any]) -> None:
        """The one on call gets a page."""
        self._pages.append(page)
        mark = "[bold red]PAGE[/]" if page["kind"] == "page" else "[green]RESOLVED[/]"
        self._say(f"{mark}  {page['subject']}")
        if page["kind"] != "page":
            return
        for alert in page["alerts"]:
            for label, text in (
                ("cause", alert["cause"]),
                ("affected", describe_affected(alert["affected"])),
                ("do first", alert["runbook"]),
            ):
                if text:
                    self._say(f"      {label}: {text}")

    async def tell(
        self,
        switches: Switches,
        laptops: Fleet,
        store: Store,
        write_report: WriteReport,
    ) -> None:
        """From the quiet start to the report, each part as soon as the last is done."""
        await self._all_is_well(laptops, store)
        self._say("[bold]somebody digs through the library's line ...[/]")
        laptops.silent_sites.add("library")
        switches.cut_library()
        await self._found()
        self._say("[bold]the line is mended ...[/]")
        switches.mend_library()
        laptops.silent_sites.discard("library")
        await self._resolved()
        await self._report(store, write_report)

    async def _report(self, store: Store, write_report: WriteReport) -> None:
        """The report, as soon as there are calls for it to show."""
        absent: list[str] = []

        async def compared() -> bool:
            nonlocal absent
            told = await store.ask(
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
            groups = {row.tags.get("group") for row in told}
            absent = [place for place in ("office", "home") if place not in groups]
            return not absent

        if not await compared():
            self._say("waiting for the first figures of groups of laptops ...")
        well = await _until(compared, _GROUPS_S)
        self._say(f"the site report: [bold]{await write_report()}[/]")
        for place in absent:
            self._say(f"[bold red]missing[/]  calls of laptops at place {place!r}")
        self._went["a site report was written"] = well

    async def _all_is_well(self, laptops: Fleet, store: Store) -> None:
        seen = StoryState()

        async def steady() -> bool:
            nonlocal seen
            seen = await look(store)
            return not missing(seen, laptops)

        well = await _until(steady, _STEADY_S)
        self._went["all switches answer, lines are seen, laptops report"] = well
        answering = len(SWITCHES) - len(seen.silent_switches())
        reporting = len(laptops) - len(laptops.missing(seen.agents))
        # Its pseudonym is known to itself alone: it is whoever is not of the fleet.
        own = len(seen.agents) > reporting
        self._say(
            f"{answering} of {len(SWITCHES)} switches answer over SNMP; {reporting} of "
            f"{len(laptops)} laptops report"
            + (", and this machine's own agent" if own else "")
        )
        for sentence in missing(seen, laptops):
            self._say(f"[bold red]missing[/]  {sentence}")

    async def _found(self) -> None:
        def paged() -> list[dict[str, Any]]:
            return [page for page in self._pages if page["kind"] == "page"]

        async def found() -> bool:
            return bool(paged())

        self._went["the fault was found"] = await _until(found, _FIND_S)
        if not paged():
            self._say(f"[bold red]missing[/]  no page came within {_FIND_S:g} s")
        # What might still follow has a few polls' time to do so.
        await asyncio.sleep(8)
        named = [
            alert
            for page in paged()
            for alert in page["alerts"]
            if alert["subject"].get("line") == LIBRARY_LINE
        ]
        self._went["its cause was named: the library's line"] = bool(named)
        self._went["it made one page, not one for each switch"] = len(paged()) == 1
        for page in paged()[1:]:
            self._say(f"[bold red]too many[/]  {page['subject']}")
        hidden = [
            alert
            for alert in open_alerts(self._config.alerts.standing)
            if alert.suppressed_by
        ]
        self._say(
            f"{len(hidden)} alerts of what hangs on that line were folded under it: "
            + ", ".join(sorted(_name(each.subject) for each in hidden))
        )

    async def _resolved(self) -> None:
        async def resolved() -> bool:
            return any(page["kind"] == "resolution" for page in self._pages)

        self._went["it was resolved, and said so"] = await _until(resolved, _RESOLVE_S)
        still = open_alerts(self._config.alerts.standing)
        for alert in still if not await resolved() else ():
            self._say(f"[bold red]still open[/]  {alert.rule}: {_name(alert.subject)}")


class StoryState(msgspec.Struct, frozen=True):
    """What the store knows of the last minute: devices that answer, laptops that report
    and lines with traffic, by their names."""

    devices: frozenset[str] = frozenset()
    agents: frozenset[str] = frozenset()
    lines: frozenset[str] = frozenset()

    def silent_switches(self) -> list[str]:
        return [switch.id for switch in SWITCHES if switch.id not in self.devices]


async def look(store: Store) -> StoryState:
    """Asks the store."""
    devices = await store.ask(_latest("device", ("device",), Pick("up", "last")))
    agents = await store.ask(_latest("call_path", ("agent",), Pick("ok", "count")))
    lines = await store.ask(_latest("line", ("line",), Pick("down_bps", "last")))
    return StoryState(
        frozenset(r.tags["device"] for r in devices if r.values.get("up_last") == 1),
        frozenset(row.tags["agent"] for row in agents),
        frozenset(row.tags["line"] for row in lines if "down_bps_last" in row.values),
    )


def missing(seen: StoryState, laptops: Fleet) -> list[str]:
    """A sentence for each kind of thing that is not there yet, with the reason as far
    as it is known."""
    sentences = []
    if silent := seen.silent_switches():
        sentences.append(f"these switches do not answer: {', '.join(silent)}")
    if len(seen.lines) < _LINES:
        there = ", ".join(sorted(seen.lines)) or "none"
        sentences.append(f"traffic is seen on {len(seen.lines)} of 5 lines: {there}")
    absent = laptops.missing(seen.agents)
    for laptop in absent[:_SHOWN]:
        why = laptop.trouble or "its reports are accepted but not in the store yet"
        sentences.append(f"laptop {laptop.number} ({laptop.transport}): {why}")
    if len(absent) > _SHOWN:
        sentences.append(f"and {len(absent) - _SHOWN} more laptops")
    return sentences


def _latest(measurement: str, by: tuple[str, ...], *picks: Pick) -> Query:
    now_ms = wall_ms()
    return Query(measurement, picks, now_ms - 60_000, now_ms + 1_000, group_by=by)


async def _until(true: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if await true():
            return True
        await asyncio.sleep(0.5)
    return False


def _name(subject: dict[str, str]) -> str:
    return " ".join(subject.values())
