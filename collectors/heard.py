"""What a batch of personal results says of each agent, as groups need it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from collectors.batch import Batch
from probes.failure import Outcome
from probes.sample import Value

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


class Whereabouts(msgspec.Struct, frozen=True):
    """Where a row belongs: the finest group it can fall into."""

    place: str
    site: str
    home_site: str
    provider: str
    connection: str


class Heard(msgspec.Struct, frozen=True):
    """One row of one agent. `values` are those of its `kind` in the order of
    `_VALUES`; none where it only says that the agent was heard."""

    time_ms: int
    received_ms: int
    agent: str
    where: Whereabouts
    kind: str
    target: str
    values: tuple[float | None, ...]


def read(batch: Batch, places: dict[Whereabouts, Whereabouts]) -> Iterator[Heard]:
    """The rows of a batch; `places` holds each whereabouts once."""
    names = ("place", "site", "home_site", "provider", "connection")
    wheres = zip(*(batch.tag(name) for name in names), strict=True)
    outcomes, targets = batch.field("outcome"), batch.tag("target")
    wanted = _VALUES.get(batch.measurement, ())
    columns = [batch.field(name) for name in wanted]
    for at, (time_ms, agent, where_texts) in enumerate(
        zip(batch.times_ms, batch.tag("agent"), wheres, strict=True)
    ):
        where = Whereabouts(*(text or "unknown" for text in where_texts))
        where = places.setdefault(where, where)
        given = tuple(_number(column[at]) for column in columns)
        values = _figures(batch.measurement, str(outcomes[at] or ""), given)
        yield Heard(
            time_ms,
            batch.received_ms,
            agent,
            where,
            batch.measurement,
            targets[at],
            values,
        )


_VALUES: dict[str, tuple[str, ...]] = {
    "call_path": ("poor", "mos_estimated", "rtt_ms", "loss_ratio", "jitter_ms"),
    "vpn": ("up",),
    "web": (),
    "name_lookup": (),
    "bandwidth": ("down_bps", "up_bps"),
}


def _figures(
    kind: str, outcome: str, given: tuple[float | None, ...]
) -> tuple[float | None, ...]:
    """What a row says of its kind; nothing where it was not measured.

    A run of the call path that failed on the way is a poor one: nobody could have
    spoken. A laptop that is offline, or whose clock is wrong, says nothing.
    """
    if kind == "call_path":
        if given[0] is None and _failed_on_the_way(outcome):
            return (1.0, *given[1:])
        return given if given[0] is not None else ()
    if kind == "vpn":
        if given[0] is None and outcome == Outcome.NOT_CONNECTED:
            return (0.0,)
        return given if given[0] is not None else ()
    if kind in ("web", "name_lookup"):
        if outcome == Outcome.OK:
            return (1.0,)
        return (0.0,) if _failed_on_the_way(outcome) else ()
    if kind == "bandwidth":
        return given if any(value is not None for value in given) else ()
    return ()


def _failed_on_the_way(outcome: str) -> bool:
    return outcome in _FAILED_ON_THE_WAY


def _number(value: Value | None) -> float | None:
    return value if isinstance(value, int | float) else None
