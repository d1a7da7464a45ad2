"""Where poor calls fail: laptop, Wi-Fi, line, provider, VPN, edge or Microsoft."""

from collectors.store.query import Where
from dashboards.figure_text import CAUSES
from dashboards.grafana.board import (
    AMBER,
    GREEN,
    RED,
    BoardRow,
    Panel,
    PanelQuery,
    Steps,
    TableColumn,
    select,
    unit_of,
)

_SHARE: Steps = ((None, GREEN), (0.05, AMBER), (0.15, RED))
_GROUP = {"by": "by", "group": "group"}
_WEIGHTED_NOTE = (
    " Longer intervals show the mean, weighted by the number of tests."
    " Groups with too few laptops are never shown."
)


def _causes_at(title: str, group: str) -> Panel:
    where = (Where("by", ("place",)), Where("group", (group,)))
    return Panel(
        title,
        "Share of laptops there whose test call was poor, by where it failed. For "
        "Microsoft: the test call was good and only the route to Microsoft was poor."
        + _WEIGHTED_NOTE,
        tuple(
            PanelQuery(
                select("experience", (f"cause_{name}_ratio", "mean"), where=where),
                CAUSES[name],
            )
            for name in CAUSES
        ),
        "percentunit",
        minimum=0,
    )


def _causes_by(title: str, text: str, by: str, *names: tuple[str, str, Steps]) -> Panel:
    return Panel(
        title,
        text + _WEIGHTED_NOTE,
        (
            PanelQuery(
                select(
                    "experience",
                    *((f"cause_{name}_ratio", "mean") for name in CAUSES),
                    *((name, "mean") for name, _, _ in names),
                    by=("group",),
                    where=(Where("by", (by,)),),
                ),
            ),
        ),
        "short",
        "table",
        width=24,
        height=7,
        columns={
            "group": TableColumn("Group"),
            **{
                f"cause_{name}_ratio_mean": TableColumn(
                    CAUSES[name], "percentunit", steps=_SHARE
                )
                for name in CAUSES
            },
            **{
                f"{name}_mean": TableColumn(
                    title, unit_of("experience", name), steps=steps
                )
                for name, title, steps in names
            },
        },
    )


def _over_time(title: str, text: str, *names: tuple[str, str], least: int = 0) -> Panel:
    return Panel(
        title,
        text + _WEIGHTED_NOTE,
        tuple(
            PanelQuery(
                select("experience", (name, "mean"), by=("by", "group")),
                f"$tag_group ($tag_by){said}",
                _GROUP,
            )
            for name, said in names
        ),
        unit_of("experience", names[0][0]),
        minimum=least,
    )


_DELAY: Steps = ((None, GREEN), (40, AMBER), (80, RED))
_LOSS: Steps = ((None, GREEN), (0.01, AMBER), (0.02, RED))
_HALF: Steps = ((None, GREEN), (0.15, AMBER), (0.3, RED))
_WEAK: Steps = ((None, RED), (-75, AMBER), (-67, GREEN))
SIGNAL = Panel(
    "Wi-Fi level",
    "Median level received by laptops on Wi-Fi. Voice suffers below -75 dBm."
    + _WEIGHTED_NOTE,
    (
        PanelQuery(
            select("experience", ("signal_p50_dbm", "mean"), by=("by", "group")),
            "$tag_group ($tag_by)",
            _GROUP,
        ),
    ),
    "dBm",
    steps=_WEAK,
)

CAUSES_ROW = BoardRow(
    "Where poor calls fail",
    (
        _causes_at("At home", "home"),
        _causes_at("In offices", "office"),
        _causes_by(
            "By connection",
            "Means over the time range: where poor calls fail, and how laptops on "
            "Wi-Fi, cable and mobile networks reach the first router.",
            "connection",
            ("call_poor_ratio", "Poor calls", _SHARE),
            ("gateway_poor_ratio", "First router: loss or delay", _SHARE),
            ("laptop_busy_ratio", "Laptop busy", _SHARE),
        ),
        _causes_by(
            "By provider",
            "Means over the time range: where poor calls fail, and how the provider's "
            "first router answers.",
            "provider",
            ("call_poor_ratio", "Poor calls", _SHARE),
            ("provider_loss_mean_ratio", "Loss to provider", _LOSS),
            ("provider_rtt_p95_ms", "Delay to provider, p95", _DELAY),
            ("bufferbloat_poor_ratio", "Delay under load", _HALF),
        ),
        _causes_by(
            "By VPN",
            "Means over the time range, by VPN product, while the tunnel is up.",
            "vpn",
            ("call_poor_ratio", "Poor calls", _SHARE),
            ("tunnel_added_p50_ms", "Added by the tunnel", _DELAY),
            ("teams_tunnelled_ratio", "Teams in the tunnel", ((None, GREEN),)),
        ),
    ),
)
CHAIN_ROW = BoardRow(
    "Along the route",
    (
        SIGNAL,
        _over_time(
            "Wi-Fi weak or at 2.4 GHz",
            "Share of Wi-Fi readings at -75 dBm or below, and of those at 2.4 GHz.",
            ("wifi_weak_ratio", " weak"),
            ("band_2_4_ratio", " 2.4 GHz"),
        ),
        _over_time(
            "First router: loss or delay",
            "Share of path tests with 2% loss or 40 ms to the first router.",
            ("gateway_poor_ratio", ""),
        ),
        _over_time(
            "Round trip by hop",
            "95th percentile to the provider's first router, the council's edge and a "
            "Teams relay.",
            ("provider_rtt_p95_ms", " provider"),
            ("edge_rtt_p95_ms", " edge"),
            ("relay_rtt_p95_ms", " Teams relay"),
        ),
        _over_time(
            "Loss by hop",
            "Mean loss to the provider's first router and to the council's edge.",
            ("provider_loss_mean_ratio", " provider"),
            ("edge_loss_mean_ratio", " edge"),
        ),
        _over_time(
            "Delay added by the VPN",
            "Median of the round trip through the tunnel minus the one outside it.",
            ("tunnel_added_p50_ms", ""),
        ),
        _over_time(
            "Teams: no answer, or in the tunnel",
            "Share of tests to a Teams relay without an answer, and of VPNs that carry "
            "Teams' media.",
            ("relay_blocked_ratio", " no answer"),
            ("teams_tunnelled_ratio", " in the tunnel"),
        ),
        _over_time(
            "Busy laptops",
            "Share of readings with processor or memory nearly full.",
            ("laptop_busy_ratio", ""),
        ),
        _over_time(
            "Delay under load",
            "Share of speed tests with bufferbloat of grade D or F.",
            ("bufferbloat_poor_ratio", ""),
        ),
        _over_time(
            "Microsoft 365 answered",
            "Share of web requests to Microsoft 365 that worked.",
            ("microsoft_ok_ratio", ""),
        ),
    ),
)
