"""The settings of the store (`[store]` of towpath.toml), and how to open it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit

import msgspec
from pydantic import Field, model_validator

from collectors.strict_model import StrictModel
from probes.wire.catalogue import Catalogue

if TYPE_CHECKING:
    from collectors.store.influx_store import InfluxStore
    from collectors.store.parquet_store import EmbeddedStore
    from collectors.store.store_parts import StorePart

_FLUSH_S = {"embedded": 30.0, "influxdb": 5.0}


class StoreConfig(StrictModel):
    """`kind = "embedded"` keeps files in `folder`. `kind = "influxdb"` writes to a
    server, and `folder` has only what remains to be written and rolled up.

    The token is never here: `token_env` names an environment variable and `token_file`
    a file that has it (`user:password` for InfluxDB 1.x). Neither is needed if the
    server needs no token. `ca_file` is a council's own certificate authority. Only
    InfluxDB 2.x needs `org`. `shared_days` keeps shared rows for longer or shorter than
    the catalogue; `personal_days` can only be shorter. Rows are written every `flush_s`
    (30 embedded, 5 InfluxDB), or sooner if `flush_rows` are waiting. `memory_mb` and
    `threads` limit each DuckDB. `writers` processes write to InfluxDB, each its part.
    """

    kind: Literal["embedded", "influxdb"] = "embedded"
    folder: Path = Path("var/state/store")
    url: str = "http://127.0.0.1:8086"
    token_env: str = ""
    token_file: Path | None = None
    ca_file: Path | None = None
    database: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,50}$")] = "towpath"
    org: str = "-"
    request_timeout_s: Annotated[float, Field(gt=0)] = 20.0
    query_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    shared_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    personal_days: Annotated[int, Field(ge=1)] | None = None
    flush_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 50_000
    flush_s: Annotated[float, Field(gt=0, le=300)] | None = None
    tidy_s: Annotated[float, Field(gt=0)] = 30.0
    memory_mb: Annotated[int, Field(ge=64)] = 512
    threads: Annotated[int, Field(ge=1)] = 2
    writers: Annotated[int, Field(ge=1, le=16)] = 1

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url is {self.url!r}, expected http://host:port")
        if parts.username or parts.password:
            raise ValueError(
                "url contains a password; expected token_env or token_file"
            )
        if self.token_env and self.token_file:
            raise ValueError("expected token_env or token_file, not both")
        if set("*?[") & set(str(self.folder)):
            raise ValueError(f"folder {str(self.folder)!r}: no *, ? or [ in its name")
        if self.writers > 1 and self.kind != "influxdb":
            raise ValueError(
                f'writers is {self.writers}, but kind is "{self.kind}": only InfluxDB '
                "can have several"
            )
        return self

    @property
    def pace_s(self) -> float:
        """Seconds between writes while few rows are waiting."""
        return self.flush_s if self.flush_s is not None else _FLUSH_S[self.kind]

    def token(self) -> str:
        """Returns the server's token. Raises `ValueError` if it is missing."""
        if self.token_env:
            token = os.environ.get(self.token_env, "").strip()
            if not token:
                raise ValueError(
                    f"store.token_env: the environment has no {self.token_env}"
                )
            return token
        if self.token_file is not None:
            try:
                token = self.token_file.read_text("utf-8").strip()
            except OSError as error:
                raise ValueError(
                    f"store.token_file: {self.token_file}: {error.strerror}"
                ) from None
            if not token:
                raise ValueError(f"store.token_file: {self.token_file} is empty")
            return token
        return ""


def with_retention(config: StoreConfig, catalogue: Catalogue) -> Catalogue:
    """Returns `catalogue` with this council's retention.

    Personal rows are never kept for longer than the catalogue says.
    """
    measurements = []
    for declared in catalogue:
        days = declared.retention_days
        if declared.personal:
            days = min(days, config.personal_days or days)
        else:
            days = config.shared_days or days
        measurements.append(msgspec.structs.replace(declared, retention_days=days))
    return Catalogue(measurements)


def open_store(
    config: StoreConfig, catalogue: Catalogue, part: StorePart | None = None
) -> EmbeddedStore | InfluxStore:
    """Returns the store, to be entered with `async with`. `part`: which of several
    writers this process is.

    Raises `ValueError` if its token is missing. The libraries are imported here,
    because a process with InfluxDB needs no DuckDB, and one with files no HTTP client.
    """
    own_catalogue = with_retention(config, catalogue)
    if config.kind == "embedded":
        from collectors.store.duck_queries import DuckLimits
        from collectors.store.parquet_store import EmbeddedStore

        limits = DuckLimits(
            threads=config.threads,
            memory_mb=config.memory_mb,
            timeout_s=config.query_timeout_s,
        )
        return EmbeddedStore(config.folder, own_catalogue, limits)
    from collectors.store.influx_http import InfluxServer
    from collectors.store.influx_store import InfluxStore

    server = InfluxServer(
        config.url,
        config.token(),
        config.org,
        config.request_timeout_s,
        config.query_timeout_s,
        config.ca_file,
    )
    return InfluxStore(server, config.database, own_catalogue, config.folder, part=part)
