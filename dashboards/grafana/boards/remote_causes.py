"""Where poor calls break: laptop, Wi-Fi, line, provider, VPN, edge or Microsoft."""

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
    ask,
    unit_of,
)

_SHARE: Steps = ((None, GREEN), (0.05, AMBER), (0.15, RED))
_GROUP = {"by": "by", "group": "group"}
_SMALL = (
    " Over longer intervals the mean of the windows, weighted by what they count."
    " Groups of too few laptops are never shown."
)


def _place(title: str, group: str) -> Panel:
    where = (Where("by", ("place",)), Where("group", (group,)))
    return Panel(
        title,
        "Share of all laptops there whose test call was poor, by where it breaks; for "
        "Microsoft, whose call was good and only that way poor." + _SMALL,
        tuple(
            PanelQuery(
                ask("experience", (f"cause_{name}_ratio", "mean"), where=where),
                CAUSES[name],
            )
            for name in CAUSES
        ),
        "percentunit",
        least=0,
    )


def _by(title: str, text: str, by: str, *names: tuple[str, str, Steps]) -> Panel:
    return Panel(
        title,
        text + _SMALL,
        (
            PanelQuery(
                ask(
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
        text + _SMALL,
        tuple(
            PanelQuery(
                ask("experience", (name, "mean"), by=("by", "group")),
                f"$tag_group ($tag_by){said}",
                _GROUP,
            )
            for name, said in names
        ),
        unit_of("experience", names[0][0]),
        least=least,
    )


_DELAY: Steps = ((None, GREEN), (40, AMBER), (80, RED))
_LOSS: Steps = ((None, GREEN), (0.01, AMBER), (0.02, RED))
_HALF: Steps = ((None, GREEN), (0.15, AMBER), (0.3, RED))
_WEAK: Steps = ((None, RED), (-75, AMBER), (-67, GREEN))
SIGNAL = Panel(
    "Wi-Fi level",
    "Median of what laptops on Wi-Fi hear; voice suffers below -75 dBm." + _SMALL,
    (
        PanelQuery(
            ask("experience", ("signal_p50_dbm", "mean"), by=("by", "group")),
            "$tag_group ($tag_by)",
            _GROUP,
        ),
    ),
    "dBm",
    steps=_WEAK,
)

CAUSES_ROW = BoardRow(
    "Where poor calls break",
    (
        _place("At home", "home"),
        _place("In offices", "office"),
        _by(
            "By connection",
            "Means over the range shown: where poor calls break, and what laptops on "
            "Wi-Fi, cable and mobile networks see of the first router.",
            "connection",
            ("call_poor_ratio", "Poor calls", _SHARE),
            ("gateway_poor_ratio", "First router lost or late", _SHARE),
            ("laptop_busy_ratio", "Laptop busy", _SHARE),
        ),
        _by(
            "By provider",
            "Means over the range shown: where poor calls break, and the provider's "
            "first router.",
            "provider",
            ("call_poor_ratio", "Poor calls", _SHARE),
            ("provider_loss_mean_ratio", "Loss to provider", _LOSS),
            ("provider_rtt_p95_ms", "To provider, p95", _DELAY),
            ("bufferbloat_poor_ratio", "Late under load", _HALF),
        ),
        _by(
            "By VPN",
            "Means over the range shown, by the product where the tunnel is up.",
            "vpn",
            ("call_poor_ratio", "Poor calls", _SHARE),
            ("tunnel_added_p50_ms", "Added by the tunnel", _DELAY),
            ("teams_tunnelled_ratio", "Teams tunnelled", ((None, GREEN),)),
        ),
    ),
)
CHAIN_ROW = BoardRow(
    "Along the way",
    (
        SIGNAL,
        _over_time(
            "Wi-Fi weak, or in the 2.4 GHz band",
            "Share of Wi-Fi results at -75 dBm or below, and of those at 2.4 GHz.",
            ("wifi_weak_ratio", " weak"),
            ("band_2_4_ratio", " 2.4 GHz"),
        ),
        _over_time(
            "First router lost or late",
            "Share of looks at the path with 2% loss or 40 ms to the first router.",
            ("gateway_poor_ratio", ""),
        ),
        _over_time(
            "Round trip by stations",
            "95th percentiles to the provider's first router, the council's edge and a "
            "Teams relay.",
            ("provider_rtt_p95_ms", " provider"),
            ("edge_rtt_p95_ms", " edge"),
            ("relay_rtt_p95_ms", " Teams relay"),
        ),
        _over_time(
            "Loss by stations",
            "Mean loss to the provider's first router and to the council's edge.",
            ("provider_loss_mean_ratio", " provider"),
            ("edge_loss_mean_ratio", " edge"),
        ),
        _over_time(
            "Delay the VPN adds",
            "Median of the round trip through the tunnel less that beside it.",
            ("tunnel_added_p50_ms", ""),
        ),
        _over_time(
            "Teams: without answer, or tunnelled",
            "Share of runs to a Teams relay without an answer, and of VPNs that carry "
            "Teams' media.",
            ("relay_blocked_ratio", " no answer"),
            ("teams_tunnelled_ratio", " tunnelled"),
        ),
        _over_time(
            "Laptops busy",
            "Share of results with processor or memory nearly full.",
            ("laptop_busy_ratio", ""),
        ),
        _over_time(
            "Late under load",
            "Share of speed tests with bufferbloat graded D or F.",
            ("bufferbloat_poor_ratio", ""),
        ),
        _over_time(
            "Microsoft 365 answered",
            "Share of web requests to Microsoft 365 that worked.",
            ("microsoft_ok_ratio", ""),
        ),
    ),
)
