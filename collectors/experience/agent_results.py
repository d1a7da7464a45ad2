"""What a batch of personal results says of each agent, as groups need it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from collectors.batch import Batch
from probes.wire.failure import Outcome
from probes.wire.report import Result
from probes.wire.report import Whereabouts as AgentWhereabouts
from probes.wire.sample import Value

# What says something of the network between a laptop and what it asked. Being offline,
# behind a captive portal, or refused by us (a key, a clock) does not.
_FAILED_ON_THE_WAY = frozenset(
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
    """Where a row belongs: the finest group it can fall into."""

    place: str
    site: str
    home_site: str
    provider: str
    connection: str
    vpn: str = "unknown"

    def of_agent(self) -> AgentWhereabouts:
        """As the agent told them, as far as they decide what a result means."""
        known = {"office", "home", "elsewhere"}, {"wired", "wifi", "mobile"}
        place = self.place if self.place in known[0] else "unknown"
        connection = self.connection if self.connection in known[1] else "unknown"
        return AgentWhereabouts(place, "", connection)  # type: ignore[arg-type]


class AgentResults(msgspec.Struct, frozen=True):
    """One row of one agent. `values` are those of its `kind` in the order of
    `VALUES`; none where it only says that the agent was heard."""

    time_ms: int
    received_ms: int
    agent: str
    where: AgentPlace
    kind: str
    target: str
    values: tuple[Value | None, ...]
    outcome: str = Outcome.OK

    def figure(self, name: str) -> float | None:
        """The number of that name; None where it was not measured."""
        return _number(self.values[_AT[self.kind, name]]) if self.values else None

    def text(self, name: str) -> str:
        """The text of that name; empty where there is none."""
        value = self.values[_AT[self.kind, name]] if self.values else None
        return value if isinstance(value, str) else ""

    def result(self) -> Result:
        """What the agent said, as far as it is held."""
        values = {
            name: value
            for name, value in zip(VALUES[self.kind], self.values, strict=True)
            if value is not None
        }
        outcome = Outcome(self.outcome)
        return Result(self.kind, 1, self.time_ms, outcome, self.target, values)


def read(batch: Batch, places: dict[AgentPlace, AgentPlace]) -> Iterator[AgentResults]:
    """The rows of a batch; `places` holds each whereabouts once."""
    names = ("place", "site", "home_site", "provider", "connection", "vpn")
    wheres = zip(*(batch.tag(name) for name in names), strict=True)
    outcomes, targets = batch.field("outcome"), batch.tag("target")
    wanted = _COLUMNS.get(batch.measurement, ())
    columns = [batch.field(name) for name in wanted]
    for at, (time_ms, agent, where_texts) in enumerate(
        zip(batch.times_ms, batch.tag("agent"), wheres, strict=True)
    ):
        where = AgentPlace(*(text or "unknown" for text in where_texts))
        where = places.setdefault(where, where)
        given = tuple(column[at] for column in columns)
        outcome = str(outcomes[at] or "")
        # A word that is not of the list is of an agent newer than this server.
        known = outcome in _OUTCOMES
        values = _figures(batch.measurement, outcome, given) if known else ()
        yield AgentResults(
            time_ms,
            batch.received_ms,
            agent,
            where,
            batch.measurement,
            targets[at],
            values,
            outcome,
        )


# What is held of each kind: what groups tell, and what `call_cause` judges by.
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
}
# `worked` is ours: 1, or 0 where it failed on the way.
_WORKED = ("worked",)
VALUES: dict[str, tuple[str, ...]] = {
    **_COLUMNS,
    "web": _WORKED,
    "name_lookup": _WORKED,
    "teams_relay": (*_COLUMNS["teams_relay"], *_WORKED),
    "cause": ("cause",),
}
_AT = {
    (kind, name): at for kind, names in VALUES.items() for at, name in enumerate(names)
}


def _figures(
    kind: str, outcome: str, given: tuple[Value | None, ...]
) -> tuple[Value | None, ...]:
    """What a row says of its kind; nothing where it was not measured.

    A run of the call path that failed on the way is a poor one: nobody could have
    spoken. A laptop that is offline, or whose clock is wrong, says nothing.
    """
    if kind == "call_path":
        if given[0] is None and _failed_on_the_way(outcome):
            return (1, *given[1:])
        return given if given[0] is not None else ()
    if kind == "vpn":
        if given[0] is None and outcome == Outcome.NOT_CONNECTED:
            return (0, *given[1:])
        return given if given[0] is not None else ()
    if kind in ("web", "name_lookup", "teams_relay"):
        if outcome == Outcome.OK:
            return (*given, 1)
        return (*given, 0) if _failed_on_the_way(outcome) else ()
    # A path that did not get to its end still has figures up to there.
    return given if any(value is not None for value in given) else ()


def _failed_on_the_way(outcome: str) -> bool:
    return outcome in _FAILED_ON_THE_WAY


def _number(value: Value | None) -> float | None:
    return value if isinstance(value, int | float) else None
