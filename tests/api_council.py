"""The API of the made-up council, with a test client and tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import council
from alert_files import ALERT, file_with
from council_page import NOW_MS, STORE
from starlette.testclient import TestClient

from alerts.api_tokens import ApiTokens, tokens_file
from alerts.rule_files import load_rules
from collectors.estate import Estate
from collectors.ingest.ingest_config import IngestConfig, RegistryConfig
from collectors.server_measurements import CATALOGUE
from dashboards.web import ApiSources, StatusPage, WebConfig
from dashboards.web.api.live_updates import LiveTimes
from dashboards.web.visitors import Right

DAY_MS = 86_400_000
RULES = load_rules(CATALOGUE)
ALL = tuple(right.value for right in Right)


def api_sources(
    standing: Path, estate: Estate | None = None, registry: Path | None = None
) -> ApiSources:
    folder = standing.parent if registry is None else registry
    shown = council.estate() if estate is None else estate
    return ApiSources(
        standing,
        lambda: (RULES, shown),
        lambda: shown,
        IngestConfig(
            registry=RegistryConfig(
                path=folder / "agents.sqlite", key_file=folder / "key"
            )
        ),
        "Europe/London",
    )


class CouncilApi:
    """The API with one open alert, and a token that may do everything."""

    def __init__(self, folder: Path, estate: Estate | None = None) -> None:
        self.path = file_with(folder, ALERT)
        self.now_ms = NOW_MS
        self.monotonic_s = 0.0
        self.estate = estate
        self.tokens = ApiTokens(tokens_file(self.path))
        self.secret = self.token("inventory", *ALL)

    def token(self, name: str, *scopes: str) -> str:
        until_ms = self.now_ms + DAY_MS
        return self.tokens.make(name, "ada", until_ms, self.now_ms, scopes)

    def page(
        self, store: Any = STORE, live: LiveTimes | None = None, **config: Any
    ) -> StatusPage:
        sources = api_sources(self.path, self.estate)
        hosts = ("towpath.example", "127.0.0.1")
        return StatusPage(
            WebConfig(**{"hosts": hosts, **config}),
            sources.estate,
            self.path,
            store,
            now_ms=lambda: self.now_ms,
            api=sources,
            live=live,
        )

    @contextmanager
    def client(
        self, secret: str | None = None, store: Any = STORE, **config: Any
    ) -> Iterator[TestClient]:
        page = self.page(store, **config)
        used = self.secret if secret is None else secret
        headers = {"Authorization": f"Bearer {used}"} if used else {}
        with TestClient(
            page.app, base_url="https://towpath.example/api/v1", headers=headers
        ) as client:
            yield client
