"""The settings of SNMP polling."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import Field

from collectors.machine_name import machine_name
from collectors.strict_model import StrictModel

_Positive = Annotated[float, Field(gt=0)]


class SnmpConfig(StrictModel):
    """`[snmp]` of towpath.toml.

    The first try waits `timeout_s`, the second twice that, and so on. `budget_s` is all
    the time one device may take for one poll, which also ends before the next is due.
    `at_once` limits how many polls run at the same time; those that wait for a silent
    device do not count. Each device gets an
    ICMP echo every `ping_s`; 0 for none. `state_file` keeps what is known of devices
    (how much they can be asked at once, their neighbours) over a restart, and a folder
    beside it their ports; "" keeps nothing. `port_descriptions` stores ifAlias with the
    figures of each port; set it to false if descriptions name people. `profiles` is a
    folder of the council's own device profiles (docs/profiles.md).
    `credentials_by_subnet` lists the names of the
    credentials to try first in each subnet.

    `share`: several pollers share the estate over NATS. `poller` is the name of this
    one, that of its host if it is empty; it is `near` these sites. Its lease on devices
    lasts `lease_s`.
    """

    period_s: _Positive = 60.0
    timeout_s: _Positive = 1.5
    tries: Annotated[int, Field(ge=1, le=10)] = 3
    budget_s: _Positive = 45.0
    ping_s: Annotated[float, Field(ge=0)] = 20.0
    at_once: Annotated[int, Field(ge=1)] = 256
    neighbours_s: _Positive = 600.0
    remember_neighbours_days: _Positive = 7.0
    credentials_file: Path | None = None
    credentials_by_subnet: dict[IPv4Network | IPv6Network, tuple[str, ...]] = Field(
        default_factory=dict
    )
    state_file: Path | None = None
    port_descriptions: bool = True
    profiles: Path | None = None
    share: bool = False
    poller: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9._-]{0,62})?$")] = ""
    near: tuple[str, ...] = ()
    lease_s: Annotated[float, Field(ge=2, le=120)] = 15.0

    @property
    def poller_name(self) -> str:
        """What this poller calls itself; empty if it needs no name."""
        if self.poller or not self.share:
            return self.poller
        return machine_name("poller")
