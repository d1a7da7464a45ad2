"""The demo's story: all is well, the library's line is cut, Towpath says so in one
page with the cause, the line is mended, Towpath says that too, and writes a report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from alerts.standing import open_alerts
from collectors.store.query import Pick, Query, Row, Store
from towpath.config import TowpathConfig
from towpath.demo.council import LIBRARY_LINE, SWITCHES, Ports
from towpath.demo.laptops import Fleet
from towpath.demo.town import Switches

_STEADY_S = 60.0
_FIND_S = 60.0
_RESOLVE_S = 75.0

Say = Callable[[str], None]
WriteReport = Callable[[], Awaitable[str]]


class Story:
    """Tells it with `say` and remembers how each part went."""

    def __init__(self, say: Say, config: TowpathConfig, ports: Ports) -> None:
        self._say, self._config, self._ports = say, config, ports
        self._went: dict[str, bool] = {}
        self._pages: list[dict[str, Any]] = []

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
                ("affected", _counts(alert["affected"])),
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
        self._say(f"the site report: [bold]{await write_report()}[/]")
        self._went["a site report was written"] = True

    async def _all_is_well(self, laptops: Fleet, store: Store) -> None:
        rows: list[Row] = []
        agents = 0

        async def steady() -> bool:
            nonlocal rows, agents
            rows = await store.ask(
                _latest("device", ("device",), Pick("up", "last"), Pick("ports_up"))
            )
            up = sum(row.values.get("up_last") == 1 for row in rows)
            heard = await store.ask(
                _latest("call_path", ("agent",), Pick("ok", "count"))
            )
            agents = len(heard)
            traffic = await store.ask(
                _latest("line", ("line",), Pick("down_bps", "last"))
            )
            seen = sum("down_bps_last" in row.values for row in traffic)
            return up == len(SWITCHES) and agents >= 48 and seen == 5

        well = await _until(steady, _STEADY_S)
        self._went["all switches answer, lines are seen, laptops report"] = well
        answering = sum(row.values.get("up_last") == 1 for row in rows)
        self._say(
            f"{answering} of {len(SWITCHES)} switches answer over SNMP; {agents} "
            f"laptops report, this machine's own agent among them"
            if agents > 48
            else f"{answering} of {len(SWITCHES)} switches answer over SNMP; {agents} "
            "laptops report"
        )

    async def _found(self) -> None:
        def paged() -> list[dict[str, Any]]:
            return [page for page in self._pages if page["kind"] == "page"]

        async def found() -> bool:
            return bool(paged())

        self._went["the fault was found"] = await _until(found, _FIND_S)
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


def _latest(measurement: str, by: tuple[str, ...], *picks: Pick) -> Query:
    now_ms = time.time_ns() // 1_000_000
    return Query(measurement, picks, now_ms - 60_000, now_ms + 1_000, group_by=by)


async def _until(true: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if await true():
            return True
        await asyncio.sleep(0.5)
    return False


def _counts(affected: dict[str, int]) -> str:
    names = {"agents": "laptops"}
    return ", ".join(f"{n} {names.get(what, what)}" for what, n in affected.items())


def _name(subject: dict[str, str]) -> str:
    return " ".join(subject.values())
