"""Microsoft 365 by place, site and provider in the last minutes: who is affected?"""

from collectors.store.query import Aggregate, Where
from dashboards.grafana.board import (
    AMBER,
    GREEN,
    RED,
    Panel,
    PanelQuery,
    Steps,
    TableColumn,
    cell,
    link_to,
    select,
    steps_of_rule,
    verdict_steps,
)

SITES = (Where("by", ("site",)),)
PROVIDERS = (Where("by", ("provider",)),)
# Of a hundred requests one may fail anywhere; no rule tests this share.
ANSWERED: Steps = ((None, RED), (0.95, AMBER), (0.99, GREEN))
RELAY_MS = verdict_steps("rtt_p95_ms")
BLOCKED = steps_of_rule("relay_blocked_everywhere")
FEW = "Groups with too few laptops are never shown."
_WHOSE = (
    "Poor from home and from offices: Microsoft, or the VPN if it carries this. "
    "Poor in offices alone: the council's edge, proxy or firewall. Poor at one site: "
    "its line. Poor through one provider: that provider."
)
_FIGURES: tuple[tuple[str, Aggregate], ...] = (
    ("microsoft_ok_ratio", "last"),
    ("microsoft_lookup_p50_ms", "last"),
    ("microsoft_connect_p50_ms", "last"),
    ("microsoft_tls_p50_ms", "last"),
    ("microsoft_first_byte_p50_ms", "last"),
    ("relay_blocked_ratio", "last"),
    ("relay_rtt_p95_ms", "last"),
    ("other_web_ok_ratio", "last"),
)


def _columns(absent: str = "too few") -> dict[str, TableColumn]:
    def share(title: str, steps: Steps) -> TableColumn:
        return TableColumn(
            title, "percentunit", steps=steps, decimals=1, width=100, absent=absent
        )

    def time(title: str, steps: Steps = ()) -> TableColumn:
        return TableColumn(
            title, "ms", steps=steps, decimals=0, width=95, absent=absent
        )

    return {
        "microsoft_ok_ratio_last": share("Answered", ANSWERED),
        "microsoft_lookup_p50_ms_last": time("DNS"),
        "microsoft_connect_p50_ms_last": time("Connection"),
        "microsoft_tls_p50_ms_last": time("TLS"),
        "microsoft_first_byte_p50_ms_last": time("First byte"),
        "relay_rtt_p95_ms_last": time("Relay, p95", RELAY_MS),
        "relay_blocked_ratio_last": share("Relay silent", BLOCKED),
        "other_web_ok_ratio_last": share("Others", ANSWERED),
    }


BY_PLACE = Panel(
    "Is it us or Microsoft: at home and in offices?",
    f"The last minutes, the worst first. {_WHOSE} Times are medians: DNS slow: the "
    "resolver. Connection slow (over 100 ms): the way to Microsoft. TLS much slower "
    "than the connection: a proxy that opens it. First byte alone: Microsoft. In the "
    "VPN: share of laptops at home whose Teams calls go through the tunnel.",
    (
        PanelQuery(
            select(
                "experience",
                *_FIGURES,
                ("teams_tunnelled_ratio", "last"),
                by=("by", "group"),
                where=(Where("by", ("all", "place")),),
            )
        ),
    ),
    "short",
    "table",
    width=24,
    height=6,
    columns={
        "group": TableColumn("Where", colour="none"),
        **_columns(),
        "teams_tunnelled_ratio_last": TableColumn(
            "Teams in the VPN", "percentunit", decimals=0, width=140, absent="-"
        ),
        "by": TableColumn("Grouped by", hidden=True),
    },
    sort=("microsoft_ok_ratio_last", False),
    newest=True,
    no_value="Too few laptops",
)
BY_SITE = Panel(
    "Is it one site?",
    "Laptops in the offices of each site in the last minutes, the worst first. One "
    f"site alone: its line, firewall or Internet access. {FEW}",
    (
        PanelQuery(
            select("experience", *_FIGURES, by=("group",), where=SITES),
            variables={"group": "site"},
        ),
    ),
    "short",
    "table",
    width=24,
    height=8,
    columns={
        "group": TableColumn(
            "Site",
            link=link_to("towpath-site", site=cell()),
            link_title="Show this site",
        ),
        **_columns(),
    },
    sort=("microsoft_ok_ratio_last", False),
    newest=True,
    no_value="Too few laptops at every site",
)
BY_PROVIDER = Panel(
    "Is it one provider?",
    "Laptops by the operator of the network that they are on, in the last minutes, "
    "the worst first. One provider alone: its network, so tell the service desk; "
    f"check its status page. {FEW}",
    (
        PanelQuery(
            select("experience", *_FIGURES, by=("group",), where=PROVIDERS),
            variables={"group": "provider"},
        ),
    ),
    "short",
    "table",
    width=24,
    height=8,
    columns={"group": TableColumn("Provider"), **_columns()},
    sort=("microsoft_ok_ratio_last", False),
    newest=True,
    no_value="Too few laptops with every provider",
)
