"""Rows of the made-up council's groups of laptops."""

from __future__ import annotations

from collections.abc import Iterator

from council_rows import day_share

from collectors.experience.group_figures import MEASURED, MOSTLY
from collectors.server_measurements import CATALOGUE
from probes.wire.call_cause import CAUSES
from probes.wire.sample import Sample

GROUPS = (
    ("all", "all", 120, 4.2, 0.04),
    ("site", "town-hall", 45, 4.3, 0.02),
    ("site", "library", 15, 3.4, 0.14),
    ("home_site_place", "town-hall/home", 30, 4.1, 0.06),
    ("place", "office", 60, 4.3, 0.02),
    ("place", "home", 55, 4.0, 0.07),
    ("provider", "Moor Broadband", 25, 3.0, 0.22),
    ("provider", "Northern Fibre", 30, 4.2, 0.03),
    ("connection", "wifi", 70, 4.1, 0.06),
    ("connection", "wired", 45, 4.35, 0.01),
    ("vpn", "GlobalProtect", 60, 4.0, 0.08),
    ("vpn", "down", 60, 4.3, 0.02),
    ("team", "contact-centre", 20, 4.2, 0.03),
)
# Where the poor calls of a group break: shares that add up to one.
BREAKS = {
    "office": {"wifi": 0.3, "line": 0.2, "edge": 0.3, "unknown": 0.2},
    "library": {"wifi": 0.2, "line": 0.7, "unknown": 0.1},
    "Moor Broadband": {"line": 0.2, "provider": 0.7, "unknown": 0.1},
}
USUAL_BREAKS = {
    "laptop": 0.1,
    "wifi": 0.5,
    "line": 0.15,
    "provider": 0.05,
    "vpn": 0.1,
    "edge": 0.05,
    "unknown": 0.05,
}


PHASES_MS = {"lookup": 6.0, "connect": 14.0, "tls": 22.0, "first_byte": 41.0}
# Web services, and the share of requests that they answer.
ANSWERED = {
    "microsoft_teams": 0.998,
    "microsoft_exchange": 0.997,
    "microsoft_sign_in": 1.0,
    "other_web": 0.993,
}


WEIGHTS = {
    field.weight for field in CATALOGUE.measurement("experience").fields if field.weight
}


def _along_the_way(group: str, poor: float) -> dict[str, float | str]:
    breaks = BREAKS.get(group, USUAL_BREAKS)
    most = max(breaks, key=lambda name: breaks[name])
    return {
        **{f"cause_{name}_ratio": poor * breaks.get(name, 0.0) for name in CAUSES},
        "mostly": MOSTLY[most],
        "call_tests": MEASURED,
        "gateway_poor_ratio": poor * 0.6,
        "provider_loss_mean_ratio": poor / 20,
        "provider_rtt_p95_ms": 14.0 + 100 * poor,
        "edge_loss_mean_ratio": poor / 12,
        "edge_rtt_p95_ms": 32.0 + 200 * poor,
        "relay_blocked_ratio": 0.04,
        "relay_rtt_p95_ms": 41.0,
        "tunnel_added_p50_ms": 9.0 + 100 * poor,
        "tunnel_rtt_p50_ms": 31.0 + 100 * poor,
        "direct_rtt_p50_ms": 22.0,
        "tunnel_loss_mean_ratio": poor / 10,
        "direct_loss_mean_ratio": poor / 50,
        "vpn_connect_p50_s": 6.5,
        "vpn_reconnected_ratio": poor / 2,
        "teams_tunnelled_ratio": 0.2,
        "wifi_weak_ratio": poor,
        "signal_p50_dbm": -58.0 - 40 * poor,
        "band_2_4_ratio": 0.3,
        "laptop_busy_ratio": 0.05,
        "microsoft_ok_ratio": 0.999,
        **{f"microsoft_{phase}_p50_ms": ms for phase, ms in PHASES_MS.items()},
        **{f"{name}_ok_ratio": share for name, share in ANSWERED.items()},
        **{f"{name}_total_p50_ms": 90 + 800 * poor for name in ANSWERED},
        "bufferbloat_poor_ratio": 0.12,
    }


def experience_rows(at: int) -> Iterator[Sample]:
    for by, group, agents, mos, poor in GROUPS:
        yield Sample(
            "experience",
            {"by": by, "group": group},
            {
                **_along_the_way(group, poor * (0.7 + 0.6 * day_share(at))),
                **dict.fromkeys(WEIGHTS, agents),
                "agents": agents,
                "calls_once": agents / 3,
                "call_poor_ratio": poor * (0.7 + 0.6 * day_share(at)),
                "mos_estimated_p50": mos,
                "rtt_p95_ms": 40.0 + 300 * poor,
                "loss_mean_ratio": poor / 10,
                "jitter_p95_ms": 6.0 + 60 * poor,
                "vpn_up_ratio": 0.97,
                "web_ok_ratio": 0.995,
                "name_ok_ratio": 0.999,
                "media_edge_ok_ratio": 0.99,
                "media_edge_rtt_p95_ms": 20.0,
                "down_bps_p50": 7.4e7,
                "up_bps_p50": 1.8e7,
            },
            at,
        )
