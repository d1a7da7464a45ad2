"""What the store is told (`[store]` of towpath.toml), and the store it means."""

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

_FLUSH_S = {"embedded": 5.0, "influxdb": 1.0}


class StoreConfig(StrictModel):
    """`kind = "embedded"` keeps files in `folder`; `kind = "influxdb"` writes to a
    server, and keeps only how far it has got in `folder`.

    `token` is never here: `token_env` names an environment variable or `token_file` a
    file that holds it (`user:password` for InfluxDB 1.x; nothing where the server asks
    for nothing). `ca_file`: a council's own certificate authority. `org` is needed by
    InfluxDB 2.x only. `shared_days` keeps shared rows longer or shorter than the
    catalogue says, `personal_days` personal ones shorter.
    A write is made every `flush_s` (5 embedded, 1 InfluxDB), sooner when `flush_rows`
    are waiting. `memory_mb` and `threads` bound each DuckDB.
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
    tidy_s: Annotated[float, Field(gt=0)] = 10.0
    memory_mb: Annotated[int, Field(ge=64)] = 512
    threads: Annotated[int, Field(ge=1)] = 2

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url is {self.url!r}, expected http://host:port")
        if parts.username or parts.password:
            raise ValueError("url holds a password; expected token_env or token_file")
        if self.token_env and self.token_file:
            raise ValueError("expected token_env or token_file, not both")
        if set("*?[") & set(str(self.folder)):
            raise ValueError(f"folder {str(self.folder)!r}: no *, ? or [ in its name")
        return self

    @property
    def pace_s(self) -> float:
        """Seconds between writes while little is waiting."""
        return self.flush_s if self.flush_s is not None else _FLUSH_S[self.kind]

    def token(self) -> str:
        """The server's token; `ValueError`, one sentence, where it is not there."""
        if self.token_env:
            found = os.environ.get(self.token_env, "").strip()
            if not found:
                raise ValueError(
                    f"store.token_env: the environment has no {self.token_env}"
                )
            return found
        if self.token_file is not None:
            try:
                found = self.token_file.read_text("utf-8").strip()
            except OSError as error:
                raise ValueError(
                    f"store.token_file: {self.token_file}: {error.strerror}"
                ) from None
            if not found:
                raise ValueError(f"store.token_file: {self.token_file} is empty")
            return found
        return ""


def with_retention(config: StoreConfig, catalogue: Catalogue) -> Catalogue:
    """`catalogue` with the retentions of this council: personal rows never longer than
    the catalogue says."""
    changed = []
    for each in catalogue:
        days = each.retention_days
        if each.personal:
            days = min(days, config.personal_days or days)
        else:
            days = config.shared_days or days
        changed.append(msgspec.structs.replace(each, retention_days=days))
    return Catalogue(changed)


def open_store(
    config: StoreConfig, catalogue: Catalogue
) -> EmbeddedStore | InfluxStore:
    """The store, inert: `async with` it. `ValueError` where its token is missing.

    What it needs is imported here: a process with a database server has no use for
    DuckDB, nor one with files for an HTTP client.
    """
    chosen = with_retention(config, catalogue)
    if config.kind == "embedded":
        from collectors.store.duck_queries import DuckLimits
        from collectors.store.parquet_store import EmbeddedStore

        limits = DuckLimits(
            threads=config.threads,
            memory_mb=config.memory_mb,
            timeout_s=config.query_timeout_s,
        )
        return EmbeddedStore(config.folder, chosen, limits)
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
    return InfluxStore(server, config.database, chosen)
