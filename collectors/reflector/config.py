"""Configuration of the reflector."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Port = Annotated[int, Field(ge=0, le=65535)]


class ReflectorConfig(BaseModel):
    """The far end of the agents' tests.

    `allow` empty answers everybody; it applies to STAMP and ndt7 alike, not to the
    echo. `tests_at_once` and `tests_bps` (0: no cap) bound ndt7, so that speed tests
    never take more than their share of the council's line: a tenth of it is polite.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    addresses: tuple[str, ...] = ("0.0.0.0", "::")
    allow: tuple[IPv4Network | IPv6Network, ...] = ()

    stamp_port: Port = 862
    # False copies the sender's numbers (RFC 8762's stateless mode): less memory, and
    # no telling which way a packet was lost.
    stateful: bool = True
    sessions: Annotated[int, Field(ge=1)] = 20_000
    session_idle_s: Annotated[float, Field(gt=0)] = 60.0
    # A whole office may sit behind one address: 40 calls' worth.
    source_packets_per_s: Annotated[float, Field(gt=0)] = 2_000.0
    packets_per_s: Annotated[float, Field(gt=0)] = 50_000.0

    web_port: Port = 8443
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tests_at_once: Annotated[int, Field(ge=1)] = 2
    tests_bps: Annotated[float, Field(ge=0)] = 0.0
    connections: Annotated[int, Field(ge=1)] = 500

    @model_validator(mode="after")
    def _both_or_neither(self) -> ReflectorConfig:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        return self
