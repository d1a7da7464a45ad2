"""Home against office, by provider and by connection: who has poor calls, and why."""

from collectors.store.query import Where
from dashboards.grafana.board import (
    Board,
    BoardRow,
    Panel,
    PanelQuery,
    busiest,
    cell,
    link_to,
    select,
    steps_of_rule,
    verdict_steps,
)
from dashboards.grafana.boards.call_panels import (
    CALL_PICKS,
    CALL_TESTS_TEXT,
    LINES,
    call_columns,
    figure_column,
    graph,
    limits_text,
    of_groups,
)
from dashboards.grafana.boards.cause_panels import causes_by_group, causes_over_time
from dashboards.grafana.boards.route_panels import route_row
from dashboards.grafana.boards.rule_texts import what_to_do

_POOR = verdict_steps("call_poor_ratio")
_HOME = (Where("by", ("place",)), Where("group", ("home",)))
_OFFICE = (Where("by", ("place",)), Where("group", ("office",)))


def _calls_of(by: str) -> str:
    """The board of calls, with the group that was selected."""
    return link_to("towpath-calls", by=by, group=cell())


PLACES = Panel(
    "Is it as good at home as in the office?",
    "One row per place, the one with most poor calls first. Home and offices should "
    "be alike. Worse at home: Wi-Fi and lines at home, the VPN. Worse in offices: "
    "their Wi-Fi and lines. Both poor: what they share, such as the VPN gateway or the "
    f"Internet line. {CALL_TESTS_TEXT}",
    (
        of_groups(
            *CALL_PICKS,
            ("web_ok_ratio", "mean"),
            ("name_ok_ratio", "mean"),
            ("down_bps_p50", "mean"),
            ("up_bps_p50", "mean"),
            kind="place",
        ),
    ),
    "short",
    "table",
    width=24,
    height=6,
    columns={
        **call_columns("Place", _calls_of("place"), "Show its calls"),
        **dict(
            (
                figure_column("web_ok_ratio", "Web worked", 100),
                figure_column("name_ok_ratio", "Names found", 115),
                figure_column("down_bps_p50", "Download", 90, decimals=0),
                figure_column("up_bps_p50", "Upload", 80, decimals=0),
            )
        ),
    },
    sort=("call_poor_ratio_mean", True),
    no_value="Too few laptops report",
)
POOR_BY_PLACE = graph(
    "When were calls poor, at home and in offices?",
    f"Share of test calls that missed a media target. "
    f"{limits_text('call_poor_ratio')} {what_to_do('calls_poor_everywhere')}",
    of_groups(("call_poor_ratio", "mean"), kind="place"),
    _POOR,
    soft=(0, 0.2),
)
MOS_BY_PLACE = graph(
    "How good do calls sound, at home and in offices?",
    "Median estimated MOS (narrowband E-model, at most about 4.4), not ratings by "
    f"people. {limits_text('mos_estimated_p50')} A line that ends while poor calls go "
    "on: no call succeeded.",
    of_groups(("mos_estimated_p50", "mean"), kind="place"),
    verdict_steps("mos_estimated_p50"),
    decimals=1,
    soft=(3, 4.5),
)
PROVIDERS = Panel(
    "Which provider's customers have poor calls?",
    "One row per provider of the laptops' connections, the one with most poor calls "
    "first. Delay and loss are those to the provider's own first router: high there is "
    "the provider's fault or the line's. Slow under load: the router at home queues "
    f"too much. {what_to_do('calls_poor_provider')} {CALL_TESTS_TEXT}",
    (
        of_groups(
            *CALL_PICKS,
            ("provider_rtt_p95_ms", "mean"),
            ("provider_loss_mean_ratio", "mean"),
            ("bufferbloat_poor_ratio", "mean"),
            kind="provider",
        ),
    ),
    "short",
    "table",
    width=24,
    height=9,
    columns={
        **call_columns("Provider", _calls_of("provider"), "Show its calls"),
        **dict(
            (
                figure_column("provider_rtt_p95_ms", "Delay to it", 100, decimals=0),
                figure_column("provider_loss_mean_ratio", "Loss to it", 95, decimals=2),
                figure_column("bufferbloat_poor_ratio", "Slow under load", 125),
            )
        ),
    },
    sort=("call_poor_ratio_mean", True),
    rows_at_most=20,
    no_value="No provider has enough laptops",
)
POOR_BY_PROVIDER = graph(
    "When were calls poor, and through which provider?",
    f"The {LINES} providers with most poor calls in the range. One line rises alone: "
    "that provider. All rise: what they share. "
    f"{limits_text('call_poor_ratio')} {what_to_do('calls_poor_provider')}",
    of_groups(("call_poor_ratio", "mean"), kind="provider", group="worst_providers"),
    _POOR,
    width=12,
    soft=(0, 0.2),
)
CONNECTIONS = Panel(
    "Is the Wi-Fi to blame?",
    "Laptops by how they are connected, the kind with most poor calls first. Cable "
    "good and Wi-Fi poor: the Wi-Fi. First router: loss or delay to the router of the "
    f"network the laptop is in. Weak: readings at -75 dBm or below. {CALL_TESTS_TEXT}",
    (
        of_groups(
            *CALL_PICKS,
            ("gateway_poor_ratio", "mean"),
            ("wifi_weak_ratio", "mean"),
            ("band_2_4_ratio", "mean"),
            kind="connection",
        ),
    ),
    "short",
    "table",
    width=24,
    height=6,
    columns={
        **call_columns("Connection", _calls_of("connection"), "Show its calls"),
        **dict(
            (
                figure_column("gateway_poor_ratio", "Router poor", 115),
                figure_column(
                    "wifi_weak_ratio", "Weak", 85, steps_of_rule("wifi_weak_site")
                ),
                figure_column("band_2_4_ratio", "2.4 GHz", 85),
            )
        ),
    },
    sort=("call_poor_ratio_mean", True),
    no_value="Too few laptops report",
)
POOR_BY_CONNECTION = graph(
    "When were calls poor, by Wi-Fi, cable or mobile network?",
    f"Share of test calls that missed a media target. {limits_text('call_poor_ratio')} "
    "Wi-Fi far above cable: people too far from an access point, or a full channel.",
    of_groups(("call_poor_ratio", "mean"), kind="connection"),
    _POOR,
    soft=(0, 0.2),
)
CAUSES = causes_by_group(
    "Where do poor calls fail, by place?", "One bar per place.", 24, kind="place"
)
CAUSES_AT_HOME = causes_over_time(
    "When did calls from home fail, and where?", "Laptops at home.", where=_HOME
)
CAUSES_IN_OFFICES = causes_over_time(
    "When did calls in offices fail, and where?", "Laptops in offices.", where=_OFFICE
)
CAUSES_BY_CONNECTION = causes_by_group(
    "Where do poor calls fail, by connection?",
    "One bar for Wi-Fi, cable and mobile networks each.",
    kind="connection",
)
CAUSES_BY_PROVIDER = causes_by_group(
    "Where do poor calls fail, by provider?",
    "One bar per provider, the one with most poor calls first.",
    kind="provider",
)
WEB = graph(
    "Does the web work?",
    "Share of web requests to the named services that worked; near 100% is good. Low "
    "at home and good in offices: the VPN or its proxy. Low in both: the service, or "
    "the council's Internet line.",
    of_groups(("web_ok_ratio", "mean"), kind="place"),
    soft=(0.9, 1),
)
NAMES = graph(
    "Are names found?",
    "Share of DNS queries that were answered, of all laptops and by place; near 100% "
    "is good. Low in one place: its resolver. Without names nothing else works. "
    f"{what_to_do('names_fail_everywhere')}",
    PanelQuery(
        select(
            "experience",
            ("name_ok_ratio", "mean"),
            by=("group",),
            where=(Where("by", ("all", "place")),),
        ),
        "$tag_group",
    ),
    steps_of_rule("names_fail_everywhere"),
    soft=(0.9, 1),
)
LAPTOPS = graph(
    "How many laptops report?",
    "Laptops that reported within 15 minutes, rounded to 5. A fall in working hours: "
    "the agents cannot reach Towpath, such as while the VPN is down.",
    of_groups(("agents", "max"), kind="place"),
    decimals=0,
)
DOWNLOAD = graph(
    "How fast are lines at home, by provider?",
    f"Median download rate of small speed tests, of the {LINES} providers with most "
    "poor calls. A call needs 1.5 Mbit/s, so a line of 10 Mbit/s is enough if it is "
    "not shared.",
    of_groups(("down_bps_p50", "mean"), kind="provider", group="worst_providers"),
    decimals=0,
)
BUFFERBLOAT = graph(
    "Which lines are slow under load?",
    "Share of speed tests graded D or F for the delay that traffic adds "
    "(bufferbloat). High: calls break while somebody else uploads; a router with smart "
    "queues helps.",
    of_groups(
        ("bufferbloat_poor_ratio", "mean"), kind="provider", group="worst_providers"
    ),
    soft=(0, 0.2),
)

REMOTE_WORKING = Board(
    "towpath-remote",
    "Remote working",
    "Are calls and the web as good at home as in the office? If not: who has the "
    "trouble, and where do calls fail?",
    (
        BoardRow("Home and office", (PLACES, POOR_BY_PLACE, MOS_BY_PLACE)),
        BoardRow("Where poor calls fail", (CAUSES,)),
        BoardRow("Providers", (PROVIDERS, POOR_BY_PROVIDER, CAUSES_BY_PROVIDER)),
        BoardRow(
            "Connections", (CONNECTIONS, POOR_BY_CONNECTION, CAUSES_BY_CONNECTION)
        ),
        BoardRow("Web, names and laptops", (WEB, NAMES, LAPTOPS)),
        BoardRow(
            "When poor calls failed, and where",
            (CAUSES_AT_HOME, CAUSES_IN_OFFICES),
            collapsed=True,
        ),
        BoardRow("Lines at home", (DOWNLOAD, BUFFERBLOAT), collapsed=True),
        route_row("Along the route from home and offices", kind="place"),
    ),
    (
        busiest(
            "worst_providers",
            "Providers with most poor calls",
            select(
                "experience",
                ("call_poor_ratio", "mean"),
                by=("group",),
                where=(Where("by", ("provider",)),),
            ),
            LINES,
            {},
        ),
    ),
    links=("towpath-estate", "towpath-calls", "towpath-vpn"),
)
