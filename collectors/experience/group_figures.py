"""Calculates the figures of `experience` from the rows of a group. Pure.

A percentile only needs enough agents, because percentiles do not add up. Sums, means
and ratios can be subtracted from each other, so for each of them the rows that have the
value are suppressed on their own.

Each figure has a weight: the number of calls, checks or laptops behind it. Numbers of
laptops, and of checks that every laptop makes equally often, are rounded like `agents`.
The figure of several windows is their weighted mean (`collectors.store.query`). The
mean of medians is not a median, so texts must call it a mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from collectors.experience import far_end_figures
from collectors.experience.agent_results import AgentPlace, AgentResult
from collectors.experience.agent_statistics import (
    coarse_percentile,
    figures_of,
    mean_of,
    share_of,
)
from collectors.experience.vpn_figures import (
    TUNNEL_DELAYS,
    TUNNEL_LOSSES,
    has_reconnects,
    has_teams_way,
    is_outside_offices,
    teams_route,
    tunnel_delay,
    tunnel_loss,
    vpn_connects,
    vpn_reconnects,
    vpn_up,
)
from probes.wire import diagnosis
from probes.wire.call_cause import CAUSES, cause
from probes.wire.front_doors import FRONT_DOORS
from probes.wire.sample import Value

_ROUND = 5

# The cause of most poor calls of a group, in the words of alerts and boards.
MOSTLY = {
    "laptop": "the laptops themselves",
    "wifi": "the Wi-Fi",
    "line": "the line",
    "provider": "the provider's network",
    "vpn": "the VPN",
    "edge": "the council's edge",
    "microsoft": "Microsoft",
    "unknown": "a place not known",
}

# Why a group has figures of calls or not, in the words of boards and pages.
MEASURED, NO_CALL_SUCCEEDED = "measured", "no call succeeded"
TOO_FEW_LAPTOPS, NOT_MEASURED = "too few laptops", "not measured"


class ExperienceFigures(NamedTuple):
    """How to calculate one or more figures of a group.

    They are made from rows of `kind` that pass `has_value`. `calculate` returns the
    figures of a group's rows, each from at least so many agents. `weight` is the field
    of their weight, which `weigh` counts.
    """

    kind: str
    has_value: Callable[[AgentResult], bool]
    calculate: Callable[[Sequence[AgentResult], int], dict[str, Value]]
    weight: str
    weigh: Callable[[Sequence[AgentResult]], int] = lambda rows: rounded(len(rows))

    def fields_of_group(
        self, rows: Sequence[AgentResult], least: int
    ) -> dict[str, Value]:
        """Returns the figures of one group's rows and their weight, or nothing."""
        figures = self.calculate(rows, least)
        return {**figures, self.weight: self.weigh(rows)} if figures else {}

    def unit_count(self, rows: Sequence[AgentResult]) -> int:
        """How many calls, checks or laptops the shares of a group are of."""
        if self.weigh is _laptops and self.kind != "cause":
            return len({row.agent for row in rows})
        return len(rows)

    def shares_of(self, rows: Sequence[AgentResult]) -> dict[str, tuple[float, int]]:
        """Returns for each share what it counts, and of how many."""
        count = self.unit_count(rows)
        return {
            name: (float(share) * count, count)
            for name, share in self.calculate(rows, 1).items()
            if name.endswith("_ratio") and isinstance(share, int | float)
        }


def rounded(agents: int) -> int:
    """Rounds to the nearest 5, because an exact count shows when a laptop comes or
    goes."""
    return (agents + _ROUND // 2) // _ROUND * _ROUND


def call_tests(figures: Mapping[str, Value], is_any_measured: bool) -> str:
    """Returns whether a group's calls have figures, from its other figures. A failed
    call has neither delay nor quality. `is_any_measured`: by any laptop of any group;
    of one group that would show whether it has a few or none."""
    if not is_any_measured:
        return NOT_MEASURED
    if "call_poor_ratio" not in figures:
        return TOO_FEW_LAPTOPS
    if "mos_estimated_p50" in figures:
        return MEASURED
    return NO_CALL_SUCCEEDED if figures["call_poor_ratio"] == 1 else TOO_FEW_LAPTOPS


def _laptops(rows: Sequence[AgentResult]) -> int:
    return rounded(len({row.agent for row in rows}))


def cause_rows(rows: Iterable[AgentResult]) -> list[AgentResult]:
    """Returns a row of kind `cause` for each agent and place with a call path result.

    Its value is the cause of a poor call (`probes.wire.call_cause`), or empty text.
    """
    by_place: dict[tuple[str, AgentPlace], list[AgentResult]] = {}
    for row in rows:
        if row.values:
            by_place.setdefault((row.agent, row.location), []).append(row)
    causes = []
    for (agent, location), agent_rows in by_place.items():
        calls = [row for row in agent_rows if row.kind == "call_path"]
        if not calls:
            continue
        newest = max(calls, key=lambda row: row.time_ms)
        results = [row.result() for row in agent_rows]
        text = cause(results, location.as_whereabouts()) or ""
        times = (newest.time_ms, newest.received_ms)
        causes.append(AgentResult(*times, agent, location, "cause", "", (text,)))
    return causes


def _has(*names: str) -> Callable[[AgentResult], bool]:
    return lambda row: all(row.figure(name) is not None for name in names)


def _calls(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    figures: dict[str, Value] = {"call_poor_ratio": mean_of(rows, "poor")}
    mos, rtt, jitter = (
        figures_of(rows, name, least)
        for name in ("mos_estimated", "rtt_ms", "jitter_ms")
    )
    if mos:
        figures["mos_estimated_p50"] = coarse_percentile(mos, 50)
    if rtt:
        figures["rtt_p95_ms"] = coarse_percentile(rtt, 95)
    if jitter:
        figures["jitter_p95_ms"] = coarse_percentile(jitter, 95)
    return figures


def _loss(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    return {"loss_mean_ratio": mean_of(rows, "loss_ratio")}


def _causes(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    counts = dict.fromkeys(CAUSES, 0)
    for row in rows:
        if text := row.text("cause"):
            counts[text] += 1  # type: ignore[index]
    figures: dict[str, Value] = {
        f"cause_{name}_ratio": count / len(rows) for name, count in counts.items()
    }
    most = max(CAUSES, key=lambda name: counts[name])
    figures["mostly"] = MOSTLY[most] if counts[most] else "no one place"
    return figures


def _gateway(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    return {"gateway_poor_ratio": share_of(rows, _is_gateway_poor)}


def _is_gateway_poor(row: AgentResult) -> bool:
    loss, delay = row.figure("gateway_loss_ratio"), row.figure("gateway_rtt_ms")
    return (loss or 0.0) >= diagnosis.LOSS_RATIO or (
        delay or 0.0
    ) >= diagnosis.GATEWAY_MS


def _provider(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    return _hop_figures(rows, least, "provider")


def _edge(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    return _hop_figures(rows, least, "edge")


def _hop_figures(
    rows: Sequence[AgentResult], least: int, kind: str
) -> dict[str, Value]:
    figures: dict[str, Value] = {
        f"{kind}_loss_mean_ratio": mean_of(rows, f"{kind}_loss_ratio")
    }
    if delays := figures_of(rows, f"{kind}_rtt_ms", least):
        figures[f"{kind}_rtt_p95_ms"] = coarse_percentile(delays, 95)
    return figures


def _wifi(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    signals = figures_of(rows, "signal_dbm", least)
    figures: dict[str, Value] = {"wifi_weak_ratio": share_of(rows, _is_weak)}
    if signals:
        figures["signal_p50_dbm"] = coarse_percentile(signals, 50)
    return figures


def _is_weak(row: AgentResult) -> bool:
    signal = row.figure("signal_dbm")
    return signal is not None and signal <= diagnosis.WEAK_DBM


def _band(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    return {"band_2_4_ratio": share_of(rows, lambda row: row.figure("band_ghz") == 2.4)}


def _on_wifi(name: str) -> Callable[[AgentResult], bool]:
    """A laptop on a cable may still be near a Wi-Fi network that it does not use."""
    return lambda row: (
        row.location.connection == "wifi" and row.figure(name) is not None
    )


def _laptop(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    return {"laptop_busy_ratio": share_of(rows, _is_busy)}


def _is_busy(row: AgentResult) -> bool:
    busy, memory = row.figure("cpu_ratio"), row.figure("memory_ratio")
    return (busy or 0.0) >= diagnosis.BUSY_RATIO or (
        memory or 0.0
    ) >= diagnosis.FULL_RATIO


def _web(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    return {"web_ok_ratio": mean_of(rows, "worked")}


def _microsoft(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    phases = ("lookup", "connect", "tls", "first_byte")
    return {
        "microsoft_ok_ratio": mean_of(rows, "worked"),
        **_medians(rows, least, "microsoft", phases),
    }


def _is_of_microsoft(row: AgentResult) -> bool:
    return diagnosis.is_microsoft(row.target)


def _is_of_others(row: AgentResult) -> bool:
    return not _is_of_microsoft(row)


def _answers(
    name: str,
) -> Callable[[Sequence[AgentResult], int], dict[str, Value]]:
    """Calculates how often some web service answered, and in which time."""

    def calculate(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
        return {
            f"{name}_ok_ratio": mean_of(rows, "worked"),
            **_medians(rows, least, name, ("total",)),
        }

    return calculate


def _is_of(target: str) -> Callable[[AgentResult], bool]:
    return lambda row: row.target == target


def _medians(
    rows: Sequence[AgentResult], least: int, name: str, phases: Sequence[str]
) -> dict[str, Value]:
    return {
        f"{name}_{phase}_p50_ms": coarse_percentile(times, 50)
        for phase in phases
        if (times := figures_of(rows, f"{phase}_ms", least))
    }


def _name_lookup(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    return {"name_ok_ratio": mean_of(rows, "worked")}


def _bandwidth(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    figures: dict[str, Value] = {}
    for name in ("down_bps", "up_bps"):
        if values := figures_of(rows, name, least):
            figures[f"{name}_p50"] = coarse_percentile(values, 50)
    return figures


def _bufferbloat(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    poor = share_of(rows, lambda row: row.text("bufferbloat") in diagnosis.POOR_GRADES)
    return {"bufferbloat_poor_ratio": poor}


def _has_grade(row: AgentResult) -> bool:
    return row.text("bufferbloat") != ""


def _any(row: AgentResult) -> bool:
    return True


FIGURES: tuple[ExperienceFigures, ...] = (
    ExperienceFigures("call_path", _any, _calls, "calls", len),
    ExperienceFigures("call_path", _has("loss_ratio"), _loss, "loss_calls", len),
    ExperienceFigures("cause", _any, _causes, "judged_laptops", _laptops),
    ExperienceFigures("path", _has("gateway_rtt_ms"), _gateway, "gateway_checks"),
    ExperienceFigures(
        "path", _has("provider_loss_ratio"), _provider, "provider_checks"
    ),
    ExperienceFigures("path", _has("edge_loss_ratio"), _edge, "edge_checks"),
    ExperienceFigures("teams_relay", _any, far_end_figures.relay, "relay_checks"),
    ExperienceFigures(
        "media_edge", _any, far_end_figures.media_edge, "media_edge_checks"
    ),
    ExperienceFigures("vpn", is_outside_offices, vpn_up, "vpn_laptops", _laptops),
    ExperienceFigures("vpn", _has(*TUNNEL_DELAYS), tunnel_delay, "tunnel_checks"),
    ExperienceFigures("vpn", _has(*TUNNEL_LOSSES), tunnel_loss, "tunnel_loss_checks"),
    ExperienceFigures("vpn", _has("connect_s"), vpn_connects, "vpn_connects"),
    ExperienceFigures(
        "vpn", has_reconnects, vpn_reconnects, "reconnect_laptops", _laptops
    ),
    ExperienceFigures("vpn", has_teams_way, teams_route, "teams_laptops", _laptops),
    ExperienceFigures("wifi", _on_wifi("signal_dbm"), _wifi, "wifi_checks"),
    ExperienceFigures("wifi", _on_wifi("band_ghz"), _band, "band_checks"),
    ExperienceFigures("laptop", _has("cpu_ratio"), _laptop, "laptop_checks"),
    ExperienceFigures("web", _any, _web, "web_checks"),
    ExperienceFigures("web", _is_of_microsoft, _microsoft, "microsoft_checks"),
    *(
        ExperienceFigures(
            "web",
            _is_of(service.name),
            _answers(f"microsoft_{name}"),
            f"microsoft_{name}_checks",
        )
        for name, service in FRONT_DOORS.items()
    ),
    ExperienceFigures("web", _is_of_others, _answers("other_web"), "other_web_checks"),
    ExperienceFigures("name_lookup", _any, _name_lookup, "name_checks"),
    ExperienceFigures("bandwidth", _any, _bandwidth, "speed_tests"),
    ExperienceFigures("bandwidth", _has_grade, _bufferbloat, "bufferbloat_tests"),
)

# Shares that count several kinds of requests → each kind: its weight, and its share. A
# total of kinds of which one is hidden would show that one.
TOTALS: Mapping[str, Mapping[str, str]] = {
    "microsoft_ok_ratio": {
        f"microsoft_{name}_checks": f"microsoft_{name}_ok_ratio" for name in FRONT_DOORS
    },
    "web_ok_ratio": {
        "microsoft_checks": "microsoft_ok_ratio",
        "other_web_checks": "other_web_ok_ratio",
    },
}
_DOOR_NAMES = frozenset(service.name for service in FRONT_DOORS.values())


def is_of_no_front_door(row: AgentResult) -> bool:
    """Whether it is a request to Microsoft that has no figure of its own."""
    return row.kind == "web" and _is_of_microsoft(row) and row.target not in _DOOR_NAMES
