"""Panels about laptops' VPN tunnels: how many are up, what they add, what goes in."""

from collectors.store.query import Where
from dashboards.grafana.board import (
    BLUE,
    PLAIN,
    PURPLE,
    Panel,
    PanelQuery,
    Steps,
    TableColumn,
    busiest,
    cell,
    link_to,
    select,
    steps_of_rule,
    unit_of,
)
from dashboards.grafana.boards.call_panels import (
    ALL,
    CALL_PICKS,
    CALL_TESTS_TEXT,
    LINES,
    WEIGHTED_TEXT,
    call_columns,
    figure_column,
    graph,
    newest_figure,
    of_groups,
)
from dashboards.grafana.boards.rule_texts import what_to_do

_ADDED = steps_of_rule("vpn_slow_everywhere")
_TO_CALLS = link_to("towpath-calls", by="vpn", group=cell())


def _now(
    title: str, text: str, name: str, steps: Steps = PLAIN, decimals: int = 0
) -> Panel:
    about = f"{text} The newest figure."
    return newest_figure(title, about, name, steps, decimals, "Too few laptops")


UP_NOW = _now(
    "How many have the VPN up?",
    "Of the laptops outside offices that have a VPN client: those whose tunnel is up. "
    "In an office a laptop needs none, so it is not counted. What is usual depends on "
    "the council; compare with yesterday below.",
    "vpn_up_ratio",
)
LAPTOPS_NOW = _now(
    "How many laptops is that of?",
    "Laptops outside offices that have a VPN client, rounded to 5.",
    "vpn_laptops",
)
ADDED_NOW = _now(
    "How much does the VPN add?",
    "Median of the round trip through the tunnel less the one to the gateway outside "
    f"it. A few milliseconds are good. {what_to_do('vpn_slow_everywhere')}",
    "tunnel_added_p50_ms",
    _ADDED,
)
UP_BY_PLACE = graph(
    "When was the VPN up, at home and elsewhere?",
    "Share of laptops outside offices, with a VPN client, whose tunnel is up. A sudden "
    "fall while gateways answer: sign-in, a licence that is used up, or a client "
    "update.",
    of_groups(("vpn_up_ratio", "mean"), kind="place"),
    soft=(0, 1),
)
LAPTOPS_BY_PLACE = graph(
    "How many laptops with a VPN client are there?",
    "Laptops outside offices with a VPN client, rounded to 5, which the shares beside "
    "it are of. A fall in working hours: they cannot reach Towpath either.",
    of_groups(("vpn_laptops", "max"), kind="place"),
    decimals=0,
)
ADDED = Panel(
    "When did the VPN add delay for everybody?",
    "Median of the round trip through the tunnel less the one to the gateway outside "
    f"it. {what_to_do('vpn_slow_everywhere')}",
    (
        PanelQuery(
            select("experience", ("tunnel_added_p50_ms", "mean"), where=ALL),
            "all laptops",
        ),
    ),
    "ms",
    steps=_ADDED,
    decimals=0,
    soft_minimum=0,
    soft_maximum=70,
)
ADDED_BY_PRODUCT = graph(
    "Which VPN adds delay?",
    f"As beside it, by VPN product; the {LINES} that add most. One alone: its gateway "
    f"is busy or far away. {what_to_do('vpn_slow')}",
    of_groups(("tunnel_added_p50_ms", "mean"), kind="vpn", group="slowest_vpns"),
    steps_of_rule("vpn_slow"),
    decimals=0,
    soft=(0, 70),
)
PRODUCTS = Panel(
    "Which VPN is worse than the direct path?",
    "One row per VPN product whose tunnel is up, the one that adds most delay first. "
    "Tunnel: to a host behind it. Direct: to the gateway outside it, by the same "
    "checks. More loss in the tunnel than outside: the gateway drops packets, or its "
    "packet size (MTU) is too large. Reconnected: laptops whose tunnel was rebuilt "
    "within an hour; near 0% is good. Teams in it: laptops that send Teams' media "
    f"through the tunnel; Microsoft advises none. {what_to_do('vpn_slow')}",
    (
        PanelQuery(
            select(
                "experience",
                ("agents", "max"),
                ("tunnel_rtt_p50_ms", "mean"),
                ("direct_rtt_p50_ms", "mean"),
                ("tunnel_added_p50_ms", "mean"),
                ("tunnel_loss_mean_ratio", "mean"),
                ("direct_loss_mean_ratio", "mean"),
                ("vpn_connect_p50_s", "mean"),
                ("vpn_reconnected_ratio", "mean"),
                ("teams_tunnelled_ratio", "mean"),
                by=("group",),
                where=(
                    Where("by", ("vpn",)),
                    Where("group", ("down", "absent", "unknown"), negate=True),
                ),
            )
        ),
    ),
    "short",
    "table",
    width=24,
    height=6,
    columns={
        "group": TableColumn("VPN", link=_TO_CALLS, link_title="Show its calls"),
        **dict(
            (
                figure_column("tunnel_rtt_p50_ms", "Tunnel", 95, decimals=0),
                figure_column("direct_rtt_p50_ms", "Direct", 95, decimals=0),
                figure_column(
                    "tunnel_added_p50_ms", "Tunnel adds", 120, _ADDED, decimals=0
                ),
                figure_column(
                    "tunnel_loss_mean_ratio", "Tunnel, loss", 120, decimals=2
                ),
                figure_column(
                    "direct_loss_mean_ratio", "Direct, loss", 120, decimals=2
                ),
                figure_column("vpn_connect_p50_s", "Connecting takes", 145),
                figure_column("vpn_reconnected_ratio", "Reconnected", 120),
                figure_column("teams_tunnelled_ratio", "Teams in it", 110, decimals=0),
            )
        ),
        "agents_max": TableColumn("Laptops", "short", decimals=0, width=100),
    },
    sort=("tunnel_added_p50_ms_mean", True),
    no_value="Too few laptops have a tunnel",
)
CALLS = Panel(
    "Are calls worse through the VPN?",
    "Laptops by the VPN product whose tunnel is up, or without a tunnel, the group "
    "with most poor calls first. Poor only through the VPN: keep Teams out of it "
    f"(split tunnel). {CALL_TESTS_TEXT}",
    (of_groups(*CALL_PICKS, kind="vpn"),),
    "short",
    "table",
    width=24,
    height=7,
    columns=call_columns("VPN", _TO_CALLS, "Show its calls"),
    sort=("call_poor_ratio_mean", True),
    no_value="Too few laptops report",
)


def _compared(title: str, text: str, field: str, most: float, decimals: int) -> Panel:
    """Returns a graph of the tunnel and the direct path, of all laptops."""
    return Panel(
        title,
        f"{text} {WEIGHTED_TEXT}",
        (
            PanelQuery(
                select("experience", (f"tunnel_{field}", "mean"), where=ALL),
                "through the tunnel",
                colour=PURPLE,
            ),
            PanelQuery(
                select("experience", (f"direct_{field}", "mean"), where=ALL),
                "direct, outside it",
                colour=BLUE,
            ),
        ),
        unit_of("experience", f"tunnel_{field}"),
        steps=PLAIN,
        draw_thresholds=False,
        decimals=decimals,
        soft_minimum=0,
        soft_maximum=most,
        no_value="Too few laptops have a tunnel",
    )


DELAYS = _compared(
    "How slow is the tunnel, and how slow the direct path?",
    "Medians of all laptops: to a host behind the tunnel, and to the gateway outside "
    "it. Close together is good. Both rise: the Internet. Only the tunnel rises: the "
    "gateway, or the network behind it.",
    "rtt_p50_ms",
    60,
    0,
)
LOSSES = _compared(
    "What is lost in the tunnel, and on the direct path?",
    "Means of all laptops, of the same checks. Below 1% is good. Lost only in the "
    "tunnel: the gateway is overloaded, or its packet size (MTU) is too large.",
    "loss_mean_ratio",
    0.02,
    2,
)
RECONNECTED = graph(
    "Do tunnels break?",
    "Share of laptops outside offices whose tunnel was rebuilt within an hour, by "
    f"product; the {LINES} that add most delay. Near 0% is good. A jump in one hour: "
    "the gateway or its line restarted. Always high: the client's time-outs, or a "
    "provider that changes addresses.",
    of_groups(("vpn_reconnected_ratio", "mean"), kind="vpn", group="slowest_vpns"),
    soft=(0, 0.1),
)
CONNECT_TIME = graph(
    "How long do people wait for the VPN?",
    "Median time that a tunnel takes to come up (exact to 15 s), by product; the "
    f"{LINES} that add most delay. It has a value only while ten laptops or more "
    "connect within 15 minutes, as in the morning. A rise: sign-in is slow, or the "
    "gateway is busy.",
    of_groups(("vpn_connect_p50_s", "mean"), kind="vpn", group="slowest_vpns"),
    decimals=0,
    soft=(0, 15),
)
TEAMS = graph(
    "When did Teams go through the VPN?",
    "Share of laptops whose Teams media goes through the tunnel, by product; the "
    f"{LINES} that add most delay. It should be 0: Microsoft advises to send it "
    "outside. A jump: the client's split tunnel was changed, or Microsoft changed its "
    "networks.",
    of_groups(("teams_tunnelled_ratio", "mean"), kind="vpn", group="slowest_vpns"),
    soft=(0, 1),
)
SLOWEST_VPNS = busiest(
    "slowest_vpns",
    "VPNs that add most delay",
    select(
        "experience",
        ("tunnel_added_p50_ms", "mean"),
        by=("group",),
        where=(Where("by", ("vpn",)),),
    ),
    LINES,
    {},
)
