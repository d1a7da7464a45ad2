"""`StatusPage`: serves the pages on one address until it is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

import structlog

from alerts.alert import Alert
from alerts.alert_access import list_silences, open_alerts, recent_alerts
from alerts.silence import Silence
from collectors.estate import Estate
from collectors.experience.groups import LEAST
from collectors.http import CannotServe, Endpoint, HttpRefusal, HttpServer, ServerLimits
from collectors.store.query import Store
from collectors.support_codes import SupportCodes
from dashboards.query_cache import QueryCache
from dashboards.web.action_pages import AlertActions
from dashboards.web.alerts_api import AlertsApi
from dashboards.web.api.api_routes import ApiSources, rest_api
from dashboards.web.api.live_updates import LiveTimes, LiveUpdates
from dashboards.web.api.rest_api import RestApi
from dashboards.web.app import app
from dashboards.web.fleet_page import FleetSource
from dashboards.web.influx_endpoint import InfluxEndpoint
from dashboards.web.overview_cache import OverviewCache
from dashboards.web.page_views import Alerts, Views
from dashboards.web.web_config import WebConfig
from probes.wire.clock import WallClock, wall_ms
from probes.wire.sample import Sample

_log = structlog.get_logger()


class PageError(RuntimeError):
    """The page cannot be served; the text gives the reason and what to do."""


class AlertReader:
    """Alerts from the alert engine's file; none if it does not exist yet."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self) -> list[Alert]:
        return open_alerts(self._path)

    def recent(self, since_ms: int) -> list[Alert]:
        return recent_alerts(self._path, since_ms)

    def silences(self, from_ms: int) -> list[Silence]:
        return list_silences(self._path, from_ms)


# All may use one proxy: no limit by address. Wrong passwords have their own.
_LIMITS = ServerLimits(
    connections=500,
    strangers=500,
    strangers_per_address=500,
    idle_s=15,
)


class StatusPage:
    """`async with StatusPage(config, estate, alerts, store) as page`.

    `alerts` is the alert engine's file, or anything with
    `open()`, `recent()` and `silences()`;
    `council` is the title if the settings have none; `least` the smallest group of
    laptops that is shown (`groups.least`); `influx` answers Grafana; `actions`: what
    links of messages do; `api`: what the APIs for programs need; `fleet`: where the
    page Fleet has the laptops from; `reflector_secret`: the file from which the page
    `/check` has its tokens; `support`: which laptop a support code opens;
    `live`: how often pages that listen are served.
    `unwell` returns what keeps Towpath from working, a sentence each; it may block.
    `page.url` is its address once entered. Raises `PageError` if the port is not
    available.
    """

    def __init__(
        self,
        config: WebConfig,
        estate: Callable[[], Estate],
        alerts: Path | Alerts,
        store: Store,
        now_ms: WallClock = wall_ms,
        council: str = "",
        unwell: Callable[[int], Sequence[str]] = lambda now_ms: (),
        least: int = LEAST,
        influx: InfluxEndpoint | None = None,
        actions: AlertActions | None = None,
        api: ApiSources | None = None,
        fleet: FleetSource | None = None,
        reflector_secret: Path | None = None,
        support: SupportCodes | None = None,
        live: LiveTimes | None = None,
    ) -> None:
        self._config = config
        source = AlertReader(alerts) if isinstance(alerts, Path) else alerts
        answers = QueryCache(store, now_ms)
        self.views = Views(
            estate, source, answers, now_ms, unwell, least, ZoneInfo(config.timezone)
        )
        if council and not config.title:
            config = config.model_copy(update={"title": council})
        overviews = OverviewCache(self.views)
        self.updates = LiveUpdates(overviews, live)
        old: AlertsApi | None = None
        rest: RestApi | None = None
        if api is not None and config.api.enabled:
            old = AlertsApi(api.standing, api.known, now_ms, api.timezone, api.share)
            rest = rest_api(api, self.views, store, config, overviews, self.updates)
        self.app = app(
            config,
            self.views,
            influx,
            actions,
            old,
            fleet,
            rest,
            overviews,
            reflector_secret,
            support,
        )
        self.url = ""
        self._refused: Counter[HttpRefusal] = Counter()
        self._server = HttpServer(
            self.app,
            Endpoint(config.host, config.port, "web.port"),
            _LIMITS,
            on_refusal=self._count,
        )

    async def __aenter__(self) -> Self:
        try:
            await self._server.start()
        except CannotServe as error:
            raise PageError(f"the status page {error}") from None
        host = self._config.host
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.port}"
        _log.info("status_page_open", url=self.url)
        return self

    def sample(self, process: str, now_ms: int) -> Sample:
        """Returns the row of `self_web`."""
        counts = {f"refused_{reason}": self._refused[reason] for reason in HttpRefusal}
        server = self._server
        now = {"connections": server.connections, "strangers": server.strangers}
        return Sample("self_web", {"process": process}, {**now, **counts}, now_ms)

    def _count(self, reason: HttpRefusal) -> None:
        self._refused[reason] += 1

    async def __aexit__(self, *_: object) -> None:
        # Else the server waits for pages that listen.
        await self.updates.stop()
        await self._server.stop()
