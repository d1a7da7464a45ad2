"""Configuration of the reflector."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from collectors.strict_model import StrictModel

_MOST_BPS = 100e9
Port = Annotated[int, Field(ge=0, le=65535)]


class ReflectorConfig(StrictModel):
    """The far end of the agents' tests.

    `allow` empty answers everybody; it applies to STAMP and ndt7 alike, not to the
    echo. `secret_file` is what ingest has as `ingest.policy.reflector_secret_file`:
    with `access` "token" a speed test needs a token of an enrolled agent's policy, with
    "open" anybody may test. `authenticated_only` answers STAMP in its authenticated
    mode alone; without it both modes are answered.

    ndt7 is bounded so that speed tests never take more than their share of the
    council's line: `tests_at_once` share `tests_bps`, or a tenth of `line_bps`, what
    the council's line carries. From one network (/24, or /56 of IPv6: a branch, or who
    shares an address) come `tests_per_network` at once, and one from one agent. Others
    are told to come again after about `retry_after_s`.

    `reflector_ports` are the UDP ports of the council's reflectors elsewhere, if they
    are not 862: never answered, as two reflectors that answer each other do not stop.
    """

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

    @model_validator(mode="after")
    def _both_or_neither(self) -> ReflectorConfig:
        if self.authenticated_only and self.secret_file is None:
            raise ValueError("authenticated_only needs secret_file")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        return self

    @property
    def share_bps(self) -> float:
        """What one test may take, in bit/s; 0: more than a reflector could send, so
        that nothing need be held back."""
        share_bps = (self.tests_bps or self.line_bps / 10) / self.tests_at_once
        return share_bps if share_bps < _MOST_BPS else 0.0
