"""Calculates the figures of groups that are about the VPN. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.experience.agent_results import AgentResult
from collectors.experience.agent_statistics import (
    coarse_percentile,
    figures_of,
    latest_results,
    mean_of,
    share_of,
)
from probes.wire.sample import Value

TUNNEL_DELAYS = ("tunnel_rtt_ms", "direct_rtt_ms")
TUNNEL_LOSSES = ("tunnel_loss_ratio", "direct_loss_ratio")


def vpn_up(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    """Returns the share of agents whose latest row has the VPN up."""
    return {"vpn_up_ratio": mean_of(latest_results(rows), "up")}


def is_outside_offices(row: AgentResult) -> bool:
    """In an office a laptop needs no VPN, so a tunnel that is down is not a fault."""
    return row.location.place != "office"


def tunnel_delay(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    """Returns the delay of both paths, and the median of what the tunnel adds, which
    is not the difference of the two medians."""
    tunnel, direct = (
        [row.figure(name) or 0.0 for row in rows] for name in TUNNEL_DELAYS
    )
    added = [through - beside for through, beside in zip(tunnel, direct, strict=True)]
    return {
        "tunnel_added_p50_ms": coarse_percentile(added, 50),
        "tunnel_rtt_p50_ms": coarse_percentile(tunnel, 50),
        "direct_rtt_p50_ms": coarse_percentile(direct, 50),
    }


def tunnel_loss(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    return {
        "tunnel_loss_mean_ratio": mean_of(rows, "tunnel_loss_ratio"),
        "direct_loss_mean_ratio": mean_of(rows, "direct_loss_ratio"),
    }


def vpn_connects(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    took_s = figures_of(rows, "connect_s", least)
    return {"vpn_connect_p50_s": coarse_percentile(took_s, 50)} if took_s else {}


def vpn_reconnects(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    """Returns the share of agents whose latest row has a reconnect."""
    again = share_of(
        latest_results(rows), lambda row: (row.figure("reconnects") or 0.0) > 0
    )
    return {"vpn_reconnected_ratio": again}


def has_reconnects(row: AgentResult) -> bool:
    return is_outside_offices(row) and row.figure("reconnects") is not None


def teams_route(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    """Returns the share of agents whose latest row has Teams in the tunnel."""
    tunnelled = share_of(
        latest_results(rows), lambda row: row.text("teams_way") == "tunnelled"
    )
    return {"teams_tunnelled_ratio": tunnelled}


def has_teams_way(row: AgentResult) -> bool:
    return row.figure("up") == 1 and row.text("teams_way") not in ("", "unknown")
