"""Settings of the connection to NATS: the `[nats]` part of towpath.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, model_validator

from collectors.strict_model import StrictModel


class NatsConfig(StrictModel):
    """`password_file` has one line. `credentials_file` has a JWT and its key, or a key
    alone (`nats_credentials`). `certificate` and `private_key` are what Towpath shows
    to a server that asks for a client's certificate. `prefix` begins the name of every
    stream and bucket, so that several installations can share servers."""

    servers: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "nats://127.0.0.1:4222",
    )
    user: str = ""
    password_file: Path | None = None
    credentials_file: Path | None = None
    ca_file: Path | None = None
    certificate: Path | None = None
    private_key: Path | None = None
    prefix: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")] = "towpath"
    replicas: Literal[1, 3] = 1
    _table: str = PrivateAttr("nats")

    @property
    def table(self) -> str:
        """The table of the settings that this is read from, for messages."""
        return self._table

    def set_table(self, table: str) -> None:
        """Names the table that this is read from, if that is not `[nats]`."""
        self._table = table

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        for server in self.servers:
            _check_server(server)
        if bool(self.user) != (self.password_file is not None):
            raise ValueError("expected both user and password_file, or neither")
        if self.user and self.credentials_file is not None:
            raise ValueError(
                "expected user and password_file, or credentials_file, not both"
            )
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("expected both certificate and private_key, or neither")
        return self

    @property
    def has_tls(self) -> bool:
        """Whether the connection must be encrypted."""
        return bool(self.ca_file or self.certificate) or any(
            server.startswith("tls://") for server in self.servers
        )


def _check_server(server: str) -> None:
    """Raises `ValueError` if it is not an address of a server."""
    try:
        parts = urlsplit(server)
        port = parts.port
    except ValueError:
        port = None
    if port is None or parts.scheme not in ("nats", "tls") or not parts.hostname:
        raise ValueError(
            f"servers: {_without_password(server)!r}, expected nats://host:port or "
            "tls://host:port"
        )
    if parts.username or parts.password:
        raise ValueError("servers: has a password; expected user and password_file")


def _without_password(server: str) -> str:
    return server.rpartition("@")[2]
