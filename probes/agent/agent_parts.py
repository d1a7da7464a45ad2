"""What an agent is made with: who it is, its server, and its clocks."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from probes.agent.clock_changes import Clocks
from probes.agent.credential_renewal import CredentialRenewal
from probes.agent.job_schedule import SOON_MS
from probes.agent.laptop_support import LaptopSupport
from probes.agent.policy_refresh import PolicySource
from probes.agent.report_delivery import Publisher
from probes.agent.settings import Settings
from probes.wire.report import AgentCredential
from probes.wire.support_code import SupportCode

TICK_S = 15.0


class AgentIdentity(msgspec.Struct, frozen=True):
    """Who this agent is and how it is set up."""

    settings: Settings
    credential: AgentCredential
    software: str


class ServerLink(msgspec.Struct, frozen=True):
    """The connection to the council's server.

    `policies` is None if no policy can be fetched, and `renewal` if the laptop's secret
    is never replaced. `support` gets support codes. `network_bytes`: what the
    connection has used so far.
    `clock_ahead_s`: by how much this laptop's clock is ahead of the server's, None if
    that is not known. `clock_was_set` is called with the seconds by which this laptop's
    clock was set. `came_back` is True once after a lost connection is there again.
    """

    publisher: Publisher
    policies: PolicySource | None = None
    renewal: CredentialRenewal | None = None
    support: LaptopSupport | None = None
    network_bytes: Callable[[], int] = lambda: 0
    clock_ahead_s: Callable[[], float | None] = lambda: None
    clock_was_set: Callable[[float], None] = lambda _by_s: None
    came_back: Callable[[], bool] | None = None

    @property
    def shown_support(self) -> SupportCode:
        return SupportCode() if self.support is None else self.support.current


class AgentTiming(msgspec.Struct, frozen=True):
    """`soon_ms`: within what time everything runs after a start or a sleep; `tick_s`:
    how often the agent looks at clocks and network while it waits."""

    clocks: Clocks = Clocks()
    soon_ms: int = SOON_MS
    tick_s: float = TICK_S
