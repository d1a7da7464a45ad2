"""Settings of the status page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from collectors.estate.opening_hours import TimeZone
from collectors.ip_networks import Network, is_loopback_name, parse_networks
from collectors.strict_model import IpNetwork, StrictModel
from dashboards.web.sign_in.sign_in_config import SignInConfig


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


class ApiConfig(StrictModel):
    """`[web.api]`: the API for programs, `/api/v1`."""

    enabled: bool = True
    requests_per_minute: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=600, description="of each token, or person who has signed in"
    )
    requests_per_minute_without_token: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=60, description="of each address, for all without a known token"
    )


class IntranetConfig(StrictModel):
    """`[web.intranet]`: the page for staff, to embed in the intranet."""

    frame_hosts: tuple[
        Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$")], ...
    ] = Field(
        default=(),
        description="addresses of websites that may show it in a frame, such as "
        "https://intranet.example.gov.uk",
    )


class WebConfig(StrictModel):
    """`[web]`. It listens on this machine only. To show it to others, put a proxy in
    front of it, and let people sign in there or here (`sign_in`)."""

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
    sign_on_roles_header: str = Field(
        default="",
        description="header in which it lists their roles or groups, with commas; "
        "`sign_in.roles` says what they are here, and only they see the pages",
    )
    trusted_proxies: tuple[IpNetwork, ...] = Field(
        default=(), description="addresses of the proxies that may set these headers"
    )
    sign_in: SignInConfig = SignInConfig()
    fleet: bool = Field(
        default=True,
        description="the page Fleet: for engineers and administrators if people "
        "sign in, else for requests from this machine and no proxy",
    )
    fleet_expected: Path | None = Field(
        default=None,
        description="devices exported from Intune (CSV) or Graph (JSON), for Fleet",
    )
    refresh_s: Annotated[int, Field(ge=5, le=3600)] = 30
    timezone: TimeZone = "Europe/London"
    grafana: GrafanaSourceConfig = GrafanaSourceConfig()
    api: ApiConfig = ApiConfig()
    intranet: IntranetConfig = IntranetConfig()

    @property
    def needs_sign_in(self) -> bool:
        """Whether only those who have signed in see more than what is public."""
        return self.sign_in.is_on or bool(self.sign_on_roles_header)

    def proxies(self) -> tuple[Network, ...]:
        return parse_networks(self.trusted_proxies)

    def names(self) -> list[str]:
        """The names that a browser may call it by."""
        own = urlsplit(self.sign_in.base_url).hostname
        return [*self.hosts, *([own] if own else [])]

    @model_validator(mode="after")
    def _safe_sign_on(self) -> Self:
        if self.sign_on_roles_header and not self.sign_on_header:
            raise ValueError("sign_on_roles_header needs sign_on_header, with the name")
        if is_loopback_name(self.host):
            return self
        if self.sign_on_header and not self.trusted_proxies:
            raise ValueError(
                f"sign_on_header: anybody who reaches {self.host} could set it: name "
                "the addresses of the proxy in trusted_proxies"
            )
        if self.sign_in.is_on and not self.sign_in.base_url.startswith("https://"):
            raise ValueError(
                f"sign_in.base_url: expected https://, as {self.host} is reached from "
                "elsewhere, and passwords must not be read on the way"
            )
        return self

    @field_validator("grafana_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("expected an address that begins with https:// or http://")
        return value.rstrip("/")
