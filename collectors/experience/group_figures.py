"""What is told of a group: each figure of `experience` from its rows. Pure.

Percentiles do not add up, so they only need enough agents; of sums, means and ratios a
part can be taken away, so the rows that have the value are suppressed by themselves.

Beside each figure stands its weight: the calls, checks or laptops it is of. Laptops and
their checks, of which every laptop makes as many, are rounded as `agents` is. A figure
of several windows is their mean by it (`collectors.store.query`). A median of medians
is none: such a mean of percentiles has to be called one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from collectors.experience.agent_results import AgentPlace, AgentResults
from probes.wire import diagnosis
from probes.wire.call_cause import CAUSES, cause
from probes.wire.percentiles import percentile
from probes.wire.sample import Value

_ROUND = 5

# Where most poor calls of a group break, in the words of alerts and boards.
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


class Figures(NamedTuple):
    """`of`: the kind of rows, `has`: whether a row has the value; `make`: the figures
    of the rows of one group, each of at least so many agents. `weight`: the field that
    says how much they are of, `weigh` how much that is."""

    of: str
    has: Callable[[AgentResults], bool]
    make: Callable[[Sequence[AgentResults], int], dict[str, Value]]
    weight: str
    weigh: Callable[[Sequence[AgentResults]], int] = lambda rows: rounded(len(rows))

    def of_group(self, rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
        """The figures of the rows of one group, if any, and their weight."""
        figures = self.make(rows, least)
        return {**figures, self.weight: self.weigh(rows)} if figures else {}


def rounded(agents: int) -> int:
    """To the nearest 5: a count that moves by one says who came or went."""
    return (agents + _ROUND // 2) // _ROUND * _ROUND


def _laptops(rows: Sequence[AgentResults]) -> int:
    return rounded(len({row.agent for row in rows}))


def caused(rows: Iterable[AgentResults]) -> list[AgentResults]:
    """A row of kind `cause` for each agent at each place whose call path is known:
    where it breaks (`probes.wire.call_cause`), or empty text where it does not."""
    by_place: dict[tuple[str, AgentPlace], list[AgentResults]] = {}
    for row in rows:
        if row.values:
            by_place.setdefault((row.agent, row.where), []).append(row)
    found = []
    for (agent, where), said in by_place.items():
        calls = [row for row in said if row.kind == "call_path"]
        if not calls:
            continue
        newest = max(calls, key=lambda row: row.time_ms)
        breaks = cause([row.result() for row in said], where.of_agent()) or ""
        times = (newest.time_ms, newest.received_ms)
        found.append(AgentResults(*times, agent, where, "cause", "", (breaks,)))
    return found


def _has(*names: str) -> Callable[[AgentResults], bool]:
    return lambda row: all(row.figure(name) is not None for name in names)


def _calls(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    found: dict[str, Value] = {"call_poor_ratio": _mean(rows, "poor")}
    mos, rtt, jitter = (
        _figures(rows, name, least) for name in ("mos_estimated", "rtt_ms", "jitter_ms")
    )
    if mos:
        found["mos_estimated_p50"] = percentile(mos, 50)
    if rtt:
        found["rtt_p95_ms"] = percentile(rtt, 95)
    if jitter:
        found["jitter_p95_ms"] = percentile(jitter, 95)
    return found


def _loss(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    return {"loss_mean_ratio": _mean(rows, "loss_ratio")}


def _causes(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    counts = dict.fromkeys(CAUSES, 0)
    for row in rows:
        if breaks := row.text("cause"):
            counts[breaks] += 1  # type: ignore[index]
    found: dict[str, Value] = {
        f"cause_{name}_ratio": count / len(rows) for name, count in counts.items()
    }
    most = max(CAUSES, key=lambda name: counts[name])
    found["mostly"] = MOSTLY[most] if counts[most] else "no one place"
    return found


def _gateway(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    return {"gateway_poor_ratio": _share(rows, _is_gateway_poor)}


def _is_gateway_poor(row: AgentResults) -> bool:
    loss, delay = row.figure("gateway_loss_ratio"), row.figure("gateway_rtt_ms")
    return (loss or 0.0) >= diagnosis.LOSS_RATIO or (
        delay or 0.0
    ) >= diagnosis.GATEWAY_MS


def _provider(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    return _station(rows, least, "provider")


def _edge(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    return _station(rows, least, "edge")


def _station(rows: Sequence[AgentResults], least: int, kind: str) -> dict[str, Value]:
    found: dict[str, Value] = {
        f"{kind}_loss_mean_ratio": _mean(rows, f"{kind}_loss_ratio")
    }
    if delays := _figures(rows, f"{kind}_rtt_ms", least):
        found[f"{kind}_rtt_p95_ms"] = percentile(delays, 95)
    return found


def _relay(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    found: dict[str, Value] = {"relay_blocked_ratio": 1.0 - _mean(rows, "worked")}
    if delays := _figures(rows, "rtt_ms", least):
        found["relay_rtt_p95_ms"] = percentile(delays, 95)
    return found


def _vpn_up(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    """The share of agents, each by its latest row."""
    return {"vpn_up_ratio": _mean(_latest(rows), "up")}


def _is_outside_offices(row: AgentResults) -> bool:
    """In an office a laptop needs no VPN, so a tunnel that is not up is no fault."""
    return row.where.place != "office"


def _tunnel(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    added = [
        (row.figure("tunnel_rtt_ms") or 0.0) - (row.figure("direct_rtt_ms") or 0.0)
        for row in rows
    ]
    return {"tunnel_added_p50_ms": percentile(added, 50)}


def _teams_way(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    """Of agents, each by its latest word."""
    tunnelled = _share(_latest(rows), lambda row: row.text("teams_way") == "tunnelled")
    return {"teams_tunnelled_ratio": tunnelled}


def _has_teams_way(row: AgentResults) -> bool:
    return row.figure("up") == 1 and row.text("teams_way") not in ("", "unknown")


def _wifi(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    signals = _figures(rows, "signal_dbm", least)
    found: dict[str, Value] = {"wifi_weak_ratio": _share(rows, _is_weak)}
    if signals:
        found["signal_p50_dbm"] = percentile(signals, 50)
    return found


def _is_weak(row: AgentResults) -> bool:
    signal = row.figure("signal_dbm")
    return signal is not None and signal <= diagnosis.WEAK_DBM


def _band(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    return {"band_2_4_ratio": _share(rows, lambda row: row.figure("band_ghz") == 2.4)}


def _on_wifi(name: str) -> Callable[[AgentResults], bool]:
    """A laptop on a cable may be in reach of a Wi-Fi that carries nothing."""
    return lambda row: row.where.connection == "wifi" and row.figure(name) is not None


def _laptop(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    return {"laptop_busy_ratio": _share(rows, _is_busy)}


def _is_busy(row: AgentResults) -> bool:
    busy, memory = row.figure("cpu_ratio"), row.figure("memory_ratio")
    return (busy or 0.0) >= diagnosis.BUSY_RATIO or (
        memory or 0.0
    ) >= diagnosis.FULL_RATIO


def _web(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    return {"web_ok_ratio": _mean(rows, "worked")}


def _microsoft(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    return {"microsoft_ok_ratio": _mean(rows, "worked")}


def _is_of_microsoft(row: AgentResults) -> bool:
    return diagnosis.is_microsoft(row.target)


def _name_lookup(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    return {"name_ok_ratio": _mean(rows, "worked")}


def _bandwidth(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name in ("down_bps", "up_bps"):
        if values := _figures(rows, name, least):
            found[f"{name}_p50"] = percentile(values, 50)
    return found


def _bufferbloat(rows: Sequence[AgentResults], least: int) -> dict[str, Value]:
    poor = _share(rows, lambda row: row.text("bufferbloat") in diagnosis.POOR_GRADES)
    return {"bufferbloat_poor_ratio": poor}


def _has_grade(row: AgentResults) -> bool:
    return row.text("bufferbloat") != ""


def _any(row: AgentResults) -> bool:
    return True


_TUNNEL = ("tunnel_rtt_ms", "direct_rtt_ms")
FIGURES: tuple[Figures, ...] = (
    Figures("call_path", _any, _calls, "calls", len),
    Figures("call_path", _has("loss_ratio"), _loss, "loss_calls", len),
    Figures("cause", _any, _causes, "judged_laptops", _laptops),
    Figures("path", _has("gateway_rtt_ms"), _gateway, "gateway_checks"),
    Figures("path", _has("provider_loss_ratio"), _provider, "provider_checks"),
    Figures("path", _has("edge_loss_ratio"), _edge, "edge_checks"),
    Figures("teams_relay", _any, _relay, "relay_checks"),
    Figures("vpn", _is_outside_offices, _vpn_up, "vpn_laptops", _laptops),
    Figures("vpn", _has(*_TUNNEL), _tunnel, "tunnel_checks"),
    Figures("vpn", _has_teams_way, _teams_way, "teams_laptops", _laptops),
    Figures("wifi", _on_wifi("signal_dbm"), _wifi, "wifi_checks"),
    Figures("wifi", _on_wifi("band_ghz"), _band, "band_checks"),
    Figures("laptop", _has("cpu_ratio"), _laptop, "laptop_checks"),
    Figures("web", _any, _web, "web_checks"),
    Figures("web", _is_of_microsoft, _microsoft, "microsoft_checks"),
    Figures("name_lookup", _any, _name_lookup, "name_checks"),
    Figures("bandwidth", _any, _bandwidth, "speed_tests"),
    Figures("bandwidth", _has_grade, _bufferbloat, "bufferbloat_tests"),
)


def _latest(rows: Sequence[AgentResults]) -> list[AgentResults]:
    by_time = sorted(rows, key=lambda row: row.time_ms)
    return list({row.agent: row for row in by_time}.values())


def _figures(rows: Sequence[AgentResults], name: str, least: int) -> list[float]:
    """The values there are; none where they are of fewer than `least` agents."""
    given = [(row.agent, v) for row in rows if (v := row.figure(name)) is not None]
    return [v for _, v in given] if len({agent for agent, _ in given}) >= least else []


def _mean(rows: Sequence[AgentResults], name: str) -> float:
    return sum(row.figure(name) or 0.0 for row in rows) / len(rows)


def _share(
    rows: Sequence[AgentResults], holds: Callable[[AgentResults], bool]
) -> float:
    return sum(holds(row) for row in rows) / len(rows)
