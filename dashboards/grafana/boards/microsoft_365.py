"""Microsoft 365 as laptops see it: front doors, sign-in and Teams relays, from home and
from offices, by site and by provider. Is it us or Microsoft?"""

import dataclasses

from collectors.store.query import Where
from dashboards.grafana.board import (
    LOWEST_FIRST,
    PLAIN,
    WORST_FIRST,
    Board,
    BoardRow,
    Panel,
    PanelLink,
    PanelQuery,
    Steps,
    Variable,
    busiest,
    label,
    link_to,
    select,
    sites,
)
from dashboards.grafana.boards.microsoft_tables import (
    ANSWERED,
    BLOCKED,
    BY_PLACE,
    BY_PROVIDER,
    BY_SITE,
    FEW,
    PROVIDERS,
    RELAY_MS,
    SITES,
)
from dashboards.grafana.boards.rule_texts import what_to_do
from probes.wire.front_doors import FRONT_DOORS

_ALL = (Where("by", ("all",)), Where("group", ("all",)))
_PLACES = (Where("by", ("place",)),)
_MOST = 12
_TO_SITE = PanelLink("Show this site", link_to("towpath-site", site=label("group")))


def _now(
    title: str, text: str, fields: dict[str, str], unit: str, steps: Steps, width: int
) -> Panel:
    """Returns a stat of the last minutes, of all laptops. `fields`: field → name."""
    return Panel(
        title,
        text,
        tuple(
            PanelQuery(select("experience", (name, "last"), where=_ALL), shown)
            for name, shown in fields.items()
        ),
        unit,
        "stat",
        width=width,
        height=5,
        steps=steps,
        decimals=1 if unit == "percentunit" else 0,
        tiles=True,
        newest=True,
        no_value="Too few laptops",
    )


ANSWERING = _now(
    "Does Microsoft 365 answer?",
    "Share of requests to each front door that got an answer within the last minutes, "
    "from all laptops. 99% and more is good. One front door alone: Microsoft has a "
    "fault there; check its service health. All three: compare home with office below.",
    {
        f"microsoft_{name}_ok_ratio": service.name
        for name, service in FRONT_DOORS.items()
    },
    "percentunit",
    ANSWERED,
    10,
)
OTHERS = _now(
    "Do other web services answer?",
    "The same of the council's own list of web services (`ingest.policy.services`). "
    "Green while Microsoft is red: it is Microsoft. Red as well: it is us, or the "
    "Internet access of most laptops.",
    {"other_web_ok_ratio": "other web services"},
    "percentunit",
    ANSWERED,
    4,
)
# Its figure alone would be taken for the share that answers.
RELAYS = dataclasses.replace(
    _now(
        "Do Teams relays answer?",
        "Share of UDP requests to Teams' relays without an answer. Relays limit what "
        "they answer, so a steady share is normal; a rise is not. "
        f"{what_to_do('relay_blocked_everywhere')}",
        {"relay_blocked_ratio": "no answer"},
        "percentunit",
        BLOCKED,
        5,
    ),
    stat_text="value_and_name",
)
RELAY_NOW = _now(
    "How far is a Teams relay?",
    "95th percentile of the round trip to a relay, where calls go. Up to 100 ms is "
    "good.",
    {"relay_rtt_p95_ms": "round trip"},
    "ms",
    RELAY_MS,
    5,
)


def _by_place(title: str, text: str, name: str, unit: str, steps: Steps) -> Panel:
    return Panel(
        title,
        f"{text} {FEW}",
        (
            PanelQuery(
                select("experience", (name, "mean"), by=("group",), where=_PLACES),
                "$tag_group",
            ),
        ),
        unit,
        steps=steps,
        soft_minimum=0.9 if steps == ANSWERED else 0,
        soft_maximum=1 if unit == "percentunit" else None,
        legend=LOWEST_FIRST if steps == ANSWERED else WORST_FIRST,
    )


ANSWERED_OVER_TIME = _by_place(
    "When did Microsoft 365 not answer, at home and in offices?",
    "Share of requests to all front doors that were answered, weighted by their "
    "number. The lines fall together: Microsoft. One alone falls: that side.",
    "microsoft_ok_ratio",
    "percentunit",
    ANSWERED,
)
DOORS_OVER_TIME = Panel(
    "How long does each front door take?",
    "Median of a whole request: name, connection, TLS and first byte, from all "
    "laptops. One front door alone slows down: Microsoft. All of them with the other "
    "services: our way out.",
    tuple(
        PanelQuery(
            select("experience", (f"{name}_total_p50_ms", "mean"), where=_ALL), shown
        )
        for name, shown in (
            *((f"microsoft_{name}", door.name) for name, door in FRONT_DOORS.items()),
            ("other_web", "other web services"),
        )
    ),
    "ms",
    steps=PLAIN,
    soft_minimum=0,
    legend=WORST_FIRST,
)
PHASES = Panel(
    "Which part of a request takes the time?",
    "Medians of the parts of requests to Microsoft, from all laptops, one upon the "
    "other. DNS grows: the resolver. Connection grows: the way there. TLS grows "
    "alone: a proxy or firewall that opens connections. First byte grows: Microsoft.",
    tuple(
        PanelQuery(
            select("experience", (f"microsoft_{name}_p50_ms", "mean"), where=_ALL),
            shown,
        )
        for name, shown in (
            ("lookup", "DNS"),
            ("connect", "connection"),
            ("tls", "TLS"),
            ("first_byte", "first byte"),
        )
    ),
    "ms",
    steps=PLAIN,
    soft_minimum=0,
    stacked=True,
)
RELAY_OVER_TIME = _by_place(
    "How far are Teams relays, at home and in offices?",
    "95th percentile of the round trip. Calls suffer above 100 ms. In offices alone: "
    "the council's line or edge.",
    "relay_rtt_p95_ms",
    "ms",
    RELAY_MS,
)
BLOCKED_OVER_TIME = _by_place(
    "When did Teams relays not answer, at home and in offices?",
    "Share of UDP requests without an answer. In offices alone: a firewall that blocks "
    f"UDP 3478 to 3481. {what_to_do('relay_blocked_everywhere')}",
    "relay_blocked_ratio",
    "percentunit",
    BLOCKED,
)


def _of_groups(
    title: str, text: str, name: str, by: tuple[Where, ...], variable: str, steps: Steps
) -> Panel:
    return Panel(
        title,
        f"{text} {FEW}",
        (
            PanelQuery(
                select("experience", (name, "mean"), by=("group",), where=by),
                "$tag_group",
                {"group": variable},
            ),
        ),
        "percentunit",
        steps=steps,
        height=10,
        soft_minimum=0.9 if steps == ANSWERED else 0,
        soft_maximum=1,
        legend=LOWEST_FIRST if steps == ANSWERED else WORST_FIRST,
        link=_TO_SITE if by == SITES else None,
    )


SITES_OVER_TIME = _of_groups(
    "At which sites did Microsoft 365 not answer?",
    f"Share of requests that were answered, of the {_MOST} sites with the most "
    "laptops.",
    "microsoft_ok_ratio",
    SITES,
    "largest_sites",
    ANSWERED,
)
SITES_BLOCKED = _of_groups(
    "At which sites did Teams relays not answer?",
    f"Share of UDP requests without an answer, of the {_MOST} sites with the most "
    f"laptops. {what_to_do('relay_blocked_site')}",
    "relay_blocked_ratio",
    SITES,
    "largest_sites",
    BLOCKED,
)
PROVIDERS_OVER_TIME = _of_groups(
    "Through which providers did Microsoft 365 not answer?",
    f"Share of requests that were answered, of the {_MOST} providers with the most "
    "laptops.",
    "microsoft_ok_ratio",
    PROVIDERS,
    "largest_providers",
    ANSWERED,
)
PROVIDERS_BLOCKED = _of_groups(
    "Through which providers did Teams relays not answer?",
    f"Share of UDP requests without an answer, of the {_MOST} providers with the most "
    "laptops.",
    "relay_blocked_ratio",
    PROVIDERS,
    "largest_providers",
    BLOCKED,
)


def _largest(name: str, title: str, by: tuple[Where, ...], within: str) -> Variable:
    query = select("experience", ("agents", "max"), by=("group",), where=by)
    return busiest(name, title, query, _MOST, {"group": within})


MICROSOFT = Board(
    "towpath-microsoft",
    "Microsoft 365",
    "Do Teams, Exchange Online, sign-in and Teams relays answer, how fast, and for "
    "whom? Is it us or Microsoft?",
    (
        BoardRow("Now", (ANSWERING, OTHERS, RELAYS, RELAY_NOW, BY_PLACE)),
        BoardRow("Who is affected?", (BY_SITE, BY_PROVIDER)),
        BoardRow(
            "Since when?",
            (
                ANSWERED_OVER_TIME,
                DOORS_OVER_TIME,
                PHASES,
                RELAY_OVER_TIME,
                BLOCKED_OVER_TIME,
            ),
        ),
        BoardRow("Sites over time", (SITES_OVER_TIME, SITES_BLOCKED), collapsed=True),
        BoardRow(
            "Providers over time",
            (PROVIDERS_OVER_TIME, PROVIDERS_BLOCKED),
            collapsed=True,
        ),
    ),
    (
        sites(),
        Variable("provider", "Provider", "experience", "group", where=PROVIDERS),
        _largest("largest_sites", "Sites with most laptops", SITES, "site"),
        _largest(
            "largest_providers", "Providers with most laptops", PROVIDERS, "provider"
        ),
    ),
    links=("towpath-remote", "towpath-site", "towpath-alerts"),
)
