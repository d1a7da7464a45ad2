"""`GrafanaSource`: the embedded store behind the InfluxDB interface, within limits."""

from __future__ import annotations

from typing import Self

from collectors.store.duck_queries import DuckLimits
from collectors.store.influx_queries import InfluxQueries, QueryLimits
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.store_config import StoreConfig, with_retention
from dashboards.web.influx_access import InfluxAccess, read_token
from dashboards.web.influx_endpoint import InfluxEndpoint
from dashboards.web.web_config import GrafanaSourceConfig
from probes.wire.catalogue import Catalogue
from probes.wire.clock import WallClock, wall_ms


class GrafanaSource:
    """`async with GrafanaSource(config, store, catalogue) as source`.

    It reads the store's files with a DuckDB of its own, so that a heavy board takes
    neither memory nor turns from the pages and rules. `source.endpoint` answers
    requests. Raises `ValueError` if a token cannot be used or the store is not
    embedded.
    """

    def __init__(
        self,
        config: GrafanaSourceConfig,
        store: StoreConfig,
        catalogue: Catalogue,
        now_ms: WallClock = wall_ms,
    ) -> None:
        if store.kind != "embedded":
            raise ValueError(
                "web.grafana: the store is InfluxDB, so Grafana reads it directly; "
                "expected no web.grafana.token_file"
            )
        self._store = EmbeddedStore(
            store.folder,
            with_retention(store, catalogue),
            DuckLimits(
                threads=store.threads,
                memory_mb=config.memory_mb,
                at_once=config.at_once,
                timeout_s=config.timeout_s,
            ),
        )
        databases = {False: store.database, True: f"{store.database}_personal"}
        queries = InfluxQueries(
            self._store,
            databases,
            QueryLimits(config.timeout_s, config.points, config.at_once),
            now_ms,
        )
        self.endpoint = InfluxEndpoint(queries, _access(config, databases))

    async def __aenter__(self) -> Self:
        await self._store.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._store.__aexit__(None, None, None)


def _access(config: GrafanaSourceConfig, databases: dict[bool, str]) -> InfluxAccess:
    tokens: dict[str, frozenset[str]] = {}
    for personal, path in (
        (False, config.token_file),
        (True, config.personal_token_file),
    ):
        if path is None:
            continue
        name = "personal_token_file" if personal else "token_file"
        token = read_token(path, f"web.grafana.{name}")
        if token in tokens:
            raise ValueError(
                "web.grafana.personal_token_file has the token of token_file: users "
                "of the shared data source could read laptops' own results; expected "
                "two different tokens"
            )
        tokens[token] = frozenset((databases[personal],))
    return InfluxAccess(tokens)
