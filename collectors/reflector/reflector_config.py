"""Settings of the reflector."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from collectors.strict_model import StrictModel

_MOST_BPS = 100e9
Port = Annotated[int, Field(ge=0, le=65535)]


class ReflectorConfig(StrictModel):
    """The server that agents test against.

    If `allow` is empty, everybody is answered; it applies to STAMP and ndt7, not to the
    echo. `secret_file` is the same secret as `ingest.policy.reflector_secret_file`. If
    `access` is "token", a speed test needs a token from an enrolled agent's policy; if
    it is "open", anybody may test. `authenticated_only` answers STAMP only in its
    authenticated mode.

    ndt7 is limited so that speed tests never take more than their share of the
    council's line: `tests_at_once` tests share `tests_bps`, or a tenth of `line_bps`,
    the capacity of the line. One network (/24, or /56 of IPv6: a branch, or a shared
    address) may run `tests_per_network` tests at a time, and one agent one test. Others
    get a `Retry-After` of about `retry_after_s`.

    `calls_at_once` browsers may make a test call (80 kbit/s each way, 20 s at most).

    `reflector_ports` are the UDP ports of the council's other reflectors, if they are
    not 862. They are never answered, because two reflectors that answer each other do
    not stop.
    """

    addresses: tuple[str, ...] = ("0.0.0.0", "::")
    allow: tuple[IPv4Network | IPv6Network, ...] = ()

    stamp_port: Port = 862
    # False copies the sender's numbers (RFC 8762's stateless mode): less memory, but
    # the direction of a loss is unknown.
    stateful: bool = True
    sessions: Annotated[int, Field(ge=1)] = 20_000
    session_idle_s: Annotated[float, Field(gt=0)] = 60.0
    # A whole office may sit behind one address: 40 calls' worth.
    source_packets_per_s: Annotated[float, Field(gt=0)] = 2_000.0
    packets_per_s: Annotated[float, Field(gt=0)] = 50_000.0

    secret_file: Path | None = None
    authenticated_only: bool = False
    reflector_ports: tuple[Port, ...] = ()

    web_port: Port = 8443
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    access: Literal["token", "open"] = "token"
    tests_at_once: Annotated[int, Field(ge=1)] = 2
    tests_per_network: Annotated[int, Field(ge=1)] = 1
    tests_bps: Annotated[float, Field(ge=0)] = 0.0
    line_bps: Annotated[float, Field(gt=0)] = 1_000_000_000
    retry_after_s: Annotated[int, Field(ge=1, le=86_400)] = 600
    connections: Annotated[int, Field(ge=1)] = 500
    calls_at_once: Annotated[int, Field(ge=1)] = 40

    @model_validator(mode="after")
    def _both_or_neither(self) -> ReflectorConfig:
        if self.authenticated_only and self.secret_file is None:
            raise ValueError("authenticated_only needs secret_file")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        return self

    @property
    def share_bps(self) -> float:
        """The rate of one test in bit/s; 0 if it is more than a reflector can send, so
        that no limit is needed."""
        share_bps = (self.tests_bps or self.line_bps / 10) / self.tests_at_once
        return share_bps if share_bps < _MOST_BPS else 0.0
