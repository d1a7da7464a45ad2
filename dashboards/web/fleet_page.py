"""The page Fleet: the enrolled laptops, for the people who run Towpath.

It lists pseudonyms. Where nobody signs in to the pages, only requests that come from
this machine and through no proxy have the right to see it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from collectors.estate import Estate
from collectors.ingest.device_lists import (
    DeviceComparison,
    DeviceListRefused,
    compare_devices,
    read_device_file,
)
from collectors.ingest.ingest_config import IngestConfig
from collectors.ingest.laptop_policies import Freezes, LaptopPolicies, no_freezes
from collectors.ingest.pseudonym import KeyRefused, read_existing_key, serial_hash
from collectors.ingest.registry_reader import RegistryUnreadable, read_agents
from collectors.ingest.registry_records import EnrolledAgent
from dashboards.query_cache import rounded
from dashboards.web import fleet_state
from dashboards.web.fleet_state import Filter, FleetState
from dashboards.web.list_page import page_number
from dashboards.web.page_views import Views
from probes.wire.clock import WallClock
from probes.wire.stop_order import StopOrder

_KEEP_MS = 15_000
NO_RING = "-"


class FleetSource:
    """Reads the registry and the orders, and keeps what it read for a moment.
    `expected`: a list of the devices that the council manages. `freezes`: the times
    without speed tests that ingest gives laptops with their policy."""

    def __init__(
        self,
        config: IngestConfig,
        now_ms: WallClock,
        agents: Callable[[], Sequence[EnrolledAgent]] | None = None,
        expected: Path | None = None,
        estate: Callable[[], Estate] = Estate,
        freezes: Freezes = no_freezes,
    ) -> None:
        path = config.registry.path
        self._key_file, self._expected = config.registry.key_file, expected
        self._agents = agents or (lambda: read_agents(path))
        self._policy, self._now_ms = config.policy, now_ms
        self._policies = LaptopPolicies(config, estate, now_ms, freezes)
        self._kept: tuple[int, FleetState] | None = None
        self._reading = asyncio.Lock()

    async def stops(self) -> list[StopOrder]:
        """What the council has stopped on laptops, of all rings."""
        return await asyncio.to_thread(self._policies.stops, None)

    async def read(self) -> FleetState:
        """Raises `RegistryUnreadable`."""
        async with self._reading:
            now_ms = self._now_ms()
            if self._kept is None or not 0 <= now_ms - self._kept[0] < _KEEP_MS:
                self._kept = now_ms, await asyncio.to_thread(self._read, now_ms)
            return self._kept[1]

    def _read(self, now_ms: int) -> FleetState:
        agents = self._agents()
        return fleet_state.fleet(
            agents,
            self._policy,
            self._policies.stops,
            now_ms,
            self._compare(agents),
            lambda agent: agent.policy == self._policies.version(agent),
        )

    def _compare(self, agents: Sequence[EnrolledAgent]) -> DeviceComparison | str:
        """The laptops that are expected, or a sentence; empty if there is no list."""
        if self._expected is None:
            return ""
        try:
            devices = read_device_file(self._expected)
            key = read_existing_key(self._key_file)
        except OSError as error:
            return f"{self._expected} cannot be read: {error.strerror}"
        except (DeviceListRefused, KeyRefused) as error:
            return f"{self._expected}: {error}"
        return compare_devices(devices, agents, lambda serial: serial_hash(key, serial))


class FleetPage:
    """`show` renders a template with values, and returns the answer."""

    def __init__(
        self,
        source: FleetSource,
        views: Views,
        show: Callable[..., Response],
    ) -> None:
        self._source, self._views, self._show = source, views, show

    async def page(self, request: Request) -> Response:
        now_ms = self._views.now_ms()
        to_ms = rounded(now_ms, 60_000)
        refusals, troubles = await self._views.answers.all(
            fleet_state.refusals_query(to_ms), fleet_state.troubles_query(to_ms)
        )
        wanted = read_filter(request)
        refused = None if refusals is None else fleet_state.refusals(refusals)
        values: dict[str, object] = {"fleet": None, "failing": ""}
        try:
            fleet = await self._source.read()
        except RegistryUnreadable as error:
            values["failing"] = str(error)
        else:
            values["fleet"] = fleet
            values["listed"] = fleet_state.list_laptops(fleet.laptops, wanted)
        return self._show(
            "fleet.html",
            here="fleet",
            now_ms=now_ms,
            wanted=wanted,
            link=lambda page: page_link(wanted, page),
            states=fleet_state.STATES,
            no_ring=NO_RING,
            site_names={
                site.id: site.name.strip() or site.id
                for site in self._views.estate().sites
            },
            refusals=refused,
            needs_token=fleet_state.needs_token(refused or ()),
            troubles=None if troubles is None else fleet_state.troubles(troubles),
            **values,
        )


def read_filter(request: Request) -> Filter:
    """What the form says. What it cannot say finds no laptop."""
    values = request.query_params
    ring = values.get("ring", "")
    return Filter(
        values.get("site", ""),
        {"": None, NO_RING: ""}.get(ring, ring),
        values.get("state", ""),
        page_number(values.get("page", "1")),
    )


def page_link(wanted: Filter, page: int) -> str:
    """The address of another page of the same list."""
    ring = {None: "", "": NO_RING}.get(wanted.ring, wanted.ring)
    values = {"site": wanted.site, "ring": ring, "state": wanted.state}
    chosen = {name: value for name, value in values.items() if value}
    return f"/fleet?{urlencode({**chosen, 'page': page})}#laptops"
