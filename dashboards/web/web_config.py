"""Settings of the status page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from collectors.estate.opening_hours import TimeZone
from collectors.strict_model import StrictModel


class GrafanaSourceConfig(StrictModel):
    """`[web.grafana]`: `/query` for Grafana's InfluxDB data source, if the store is
    embedded. It is off without `token_file`.

    Each file has one token. The one in `token_file` reads the shared database only,
    and the one in `personal_token_file` only the results of single laptops: in Grafana
    OSS every Viewer may query every data source of their organisation. A request may
    take `timeout_s` and have `points` points, `at_once` are answered at a time, and
    their own DuckDB has `memory_mb`.
    """

    token_file: Path | None = None
    personal_token_file: Path | None = None
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    points: Annotated[int, Field(ge=1000, le=5_000_000)] = 200_000
    at_once: Annotated[int, Field(ge=1, le=64)] = 2
    memory_mb: Annotated[int, Field(ge=64)] = 512

    @property
    def is_on(self) -> bool:
        return bool(self.token_file or self.personal_token_file)


class WebConfig(StrictModel):
    """`[web]`. It listens on this machine only. To show it to others, put a proxy with
    the council's sign-on in front of it, and add the proxy's name to `hosts`."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    hosts: tuple[str, ...] = Field(
        default=("127.0.0.1", "localhost"),
        description="names a browser may call it by (against DNS rebinding)",
    )
    title: str = Field(default="", description="the council's name, at the top")
    contact: str = Field(default="", description="whom to tell that something is wrong")
    grafana_url: str = Field(
        default="", description="https://grafana.example, or empty"
    )
    reports: Path | None = Field(default=None, description="folder of made reports")
    sign_on_header: str = Field(
        default="",
        description="header in which the council's proxy names who has signed on; then "
        "alerts can be acknowledged and silenced on their page",
    )
    fleet: bool = Field(
        default=True,
        description="the page Fleet, for requests from this machine and no proxy",
    )
    fleet_expected: Path | None = Field(
        default=None,
        description="devices exported from Intune (CSV) or Graph (JSON), for Fleet",
    )
    refresh_s: Annotated[int, Field(ge=5, le=3600)] = 30
    timezone: TimeZone = "Europe/London"
    grafana: GrafanaSourceConfig = GrafanaSourceConfig()

    @field_validator("grafana_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("expected an address that begins with https:// or http://")
        return value.rstrip("/")
