"""Settings of the status page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from collectors.estate.opening_hours import TimeZone
from collectors.strict_model import StrictModel


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
    refresh_s: Annotated[int, Field(ge=5, le=3600)] = 30
    timezone: TimeZone = "Europe/London"

    @field_validator("grafana_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("expected an address that begins with https:// or http://")
        return value.rstrip("/")
