"""Reads agents' results from batches, in the form that groups need. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from collectors.batch import Batch
from probes.wire.failure import Outcome
from probes.wire.report import Result
from probes.wire.report import Whereabouts as AgentWhereabouts
from probes.wire.sample import Value

# Failures of the network between a laptop and its target. Being offline, behind a
# captive portal, or refused by our own server (a key, a clock) are not among them.
NETWORK_FAILURES = frozenset(
    {
        Outcome.TIMEOUT,
        Outcome.REFUSED,
        Outcome.UNREACHABLE,
        Outcome.RESET,
        Outcome.NAME_NOT_FOUND,
        Outcome.NAME_SERVER_FAILED,
        Outcome.TLS_FAILED,
        Outcome.UDP_BLOCKED,
    }
)

_OUTCOMES = frozenset(outcome.value for outcome in Outcome)


class AgentPlace(msgspec.Struct, frozen=True):
    """Where an agent was, and its team: the finest group that its rows belong to."""

    place: str
    site: str
    home_site: str
    provider: str
    connection: str
    vpn: str = "unknown"
    team: str = ""

    def as_whereabouts(self) -> AgentWhereabouts:
        """Returns what the agent reported, as far as `call_cause` needs it."""
        places, connections = (
            {"office", "home", "elsewhere"},
            {"wired", "wifi", "mobile"},
        )
        place = self.place if self.place in places else "unknown"
        connection = self.connection if self.connection in connections else "unknown"
        return AgentWhereabouts(place, "", connection)  # type: ignore[arg-type]


class AgentResult(msgspec.Struct, frozen=True):
    """One row of one agent.

    `values` are those of its `kind`, in the order of `VALUES`. They are empty if the
    row only shows that the agent is there.
    """

    time_ms: int
    received_ms: int
    agent: str
    location: AgentPlace
    kind: str
    target: str
    values: tuple[Value | None, ...]
    outcome: str = Outcome.OK

    def figure(self, name: str) -> float | None:
        """Returns the number of that name; None if it was not measured."""
        return as_number(self.values[_INDEX[self.kind, name]]) if self.values else None

    def text(self, name: str) -> str:
        """Returns the text of that name; empty if there is none."""
        value = self.values[_INDEX[self.kind, name]] if self.values else None
        return value if isinstance(value, str) else ""

    def result(self) -> Result:
        """Returns the agent's result, as far as its values are held."""
        values = {
            name: value
            for name, value in zip(VALUES[self.kind], self.values, strict=True)
            if value is not None
        }
        outcome = Outcome(self.outcome)
        return Result(self.kind, 1, self.time_ms, outcome, self.target, values)


def read_results(
    batch: Batch, places: dict[AgentPlace, AgentPlace]
) -> Iterator[AgentResult]:
    """Yields the rows of a batch. `places` shares equal `AgentPlace` objects."""
    names = ("place", "site", "home_site", "provider", "connection", "vpn")
    locations = zip(*(batch.tag(name) for name in names), strict=True)
    outcomes, targets = batch.field("outcome"), batch.tag("target")
    wanted = _COLUMNS.get(batch.measurement, ())
    columns = [batch.field(name) for name in wanted]
    for index, (time_ms, agent, tags) in enumerate(
        zip(batch.times_ms, batch.tag("agent"), locations, strict=True)
    ):
        location = AgentPlace(*(text or "unknown" for text in tags))
        location = places.setdefault(location, location)
        values_read = tuple(column[index] for column in columns)
        outcome = str(outcomes[index] or "")
        # An unknown outcome comes from an agent that is newer than this server.
        known = outcome in _OUTCOMES
        values = _figures(batch.measurement, outcome, values_read) if known else ()
        yield AgentResult(
            time_ms,
            batch.received_ms,
            agent,
            location,
            batch.measurement,
            targets[index],
            values,
            outcome,
        )


# The values held of each kind: those of group figures and those of `call_cause`.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "call_path": ("poor", "mos_estimated", "rtt_ms", "loss_ratio", "jitter_ms"),
    "path": (
        "gateway_rtt_ms",
        "gateway_loss_ratio",
        "provider_rtt_ms",
        "provider_loss_ratio",
        "edge_rtt_ms",
        "edge_loss_ratio",
    ),
    "teams_relay": ("rtt_ms",),
    "media_edge": ("rtt_ms",),
    "vpn": (
        "up",
        "product",
        "reconnects",
        "tunnel_rtt_ms",
        "tunnel_loss_ratio",
        "direct_rtt_ms",
        "direct_loss_ratio",
        "path_mtu_black_hole",
        "teams_way",
        "connect_s",
    ),
    "wifi": (
        "signal_dbm",
        "signal_min_dbm",
        "signal_derived",
        "snr_db",
        "retry_ratio",
        "band_ghz",
        "roams",
    ),
    "laptop": (
        "cpu_ratio",
        "cpu_clock_ratio",
        "memory_ratio",
        "link_bps",
        "half_duplex",
    ),
    "bandwidth": (
        "down_bps",
        "up_bps",
        "bufferbloat",
        "down_at_least",
        "up_at_least",
    ),
    "web": ("lookup_ms", "connect_ms", "tls_ms", "first_byte_ms", "total_ms"),
}
# `worked` is calculated here: 1, or 0 if the network failed.
_WORKED = ("worked",)
VALUES: dict[str, tuple[str, ...]] = {
    **_COLUMNS,
    "web": (*_COLUMNS["web"], *_WORKED),
    "name_lookup": _WORKED,
    "teams_relay": (*_COLUMNS["teams_relay"], *_WORKED),
    "media_edge": (*_COLUMNS["media_edge"], *_WORKED),
    "cause": ("cause",),
}
_INDEX = {
    (kind, name): index
    for kind, names in VALUES.items()
    for index, name in enumerate(names)
}


def _figures(
    kind: str, outcome: str, values_read: tuple[Value | None, ...]
) -> tuple[Value | None, ...]:
    """Returns the values of a row; none if nothing was measured.

    A call path test that the network failed counts as poor: a call would not have
    worked. A laptop that is offline, or whose clock is wrong, has no values.
    """
    if kind == "call_path":
        if values_read[0] is None and _is_network_failure(outcome):
            return (1, *values_read[1:])
        return values_read if values_read[0] is not None else ()
    if kind == "vpn":
        if values_read[0] is None and outcome == Outcome.NOT_CONNECTED:
            return (0, *values_read[1:])
        return values_read if values_read[0] is not None else ()
    if "worked" in VALUES.get(kind, ()):
        if outcome == Outcome.OK:
            return (*values_read, 1)
        return (*values_read, 0) if _is_network_failure(outcome) else ()
    # A path that did not reach its end still has values for its first hops.
    return values_read if any(value is not None for value in values_read) else ()


def _is_network_failure(outcome: str) -> bool:
    return outcome in NETWORK_FAILURES


def as_number(value: Value | None) -> float | None:
    """Returns a number as it is; None for a text, and for no value."""
    return value if isinstance(value, int | float) else None
