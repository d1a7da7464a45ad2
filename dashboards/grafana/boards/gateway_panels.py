"""Panels about VPN gateways: whether they answer, how fast, and their certificates."""

from dashboards.grafana.board import (
    BAD,
    GOOD,
    LOOK,
    NEUTRAL,
    PLAIN,
    UP,
    Panel,
    PanelQuery,
    TableColumn,
    Variable,
    busiest,
    column,
    link_to,
    select,
    steps_of_rule,
)
from dashboards.grafana.boards.billed_percentiles import ESTIMATED, percentiles
from dashboards.grafana.boards.rule_texts import what_to_do
from dashboards.grafana.boards.site_states import site_id_column

_GATEWAY = {"gateway": "gateway"}
_SLOWEST = {"gateway": "slowest_gateways"}
# Grafana writes 61 days (`d`) as 8.71 weeks.
_DAYS = "suffix:days"
# Two lines each, for TCP and TLS.
_GATEWAYS_AT_MOST = 6
# A gateway need not be at a site of the estate.
_TO_GATEWAY = link_to("towpath-vpn", gateway=column("gateway"))
# The results of a connection (`probes.wire.failure`). With a certificate that is not
# trusted a gateway still answers.
OUTCOMES = {
    "ok": ("Answered", GOOD),
    "timeout": ("No answer", BAD),
    "refused": ("Refused", BAD),
    "unreachable": ("Unreachable", BAD),
    "reset": ("Connection reset", BAD),
    "name_not_found": ("Name not found", BAD),
    "name_server_failed": ("Name server failed", BAD),
    "tls_failed": ("TLS failed", LOOK),
    "bad_answer": ("Bad answer", LOOK),
    "no_network": ("Towpath cut off", NEUTRAL),
    "no_resources": ("Towpath out of ports", LOOK),
}

ANSWERING = Panel(
    "Does each VPN gateway answer?",
    "One tile per gateway: whether it answered the last connection that Towpath made, "
    f"as a laptop would. {what_to_do('vpn_gateway_down')}",
    (
        PanelQuery(
            select(
                "vpn_gateway", ("name", "last"), ("up", "last"), by=("gateway", "site")
            ),
            variables=_GATEWAY,
        ),
    ),
    "short",
    "stat",
    width=12,
    height=4,
    columns={
        "name_last": TableColumn("Name"),
        "gateway": TableColumn("Gateway"),
        "site": TableColumn("Site"),
        "up_last": TableColumn(
            "State", link=_TO_GATEWAY, link_title="Show this gateway alone"
        ),
    },
    value_texts=UP,
    sort=("up_last", False),
    tile="name_last",
    tiles=True,
    newest=True,
    no_value="No gateway in the estate",
)
GATEWAYS = Panel(
    "How well does each gateway answer?",
    "One row per gateway over the selected range, the one that failed most first. "
    "Answered should be 100%. TLS takes once or twice as long as TCP: much more means "
    "that the gateway is busy. TLS failed: it answers, but its certificate or protocol "
    f"is not accepted. {what_to_do('vpn_gateway_down')} For a certificate in red: "
    f"{what_to_do('certificate_expiring')} {ESTIMATED}",
    (
        PanelQuery(
            select(
                "vpn_gateway",
                ("name", "last"),
                ("answered", "mean"),
                ("outcome", "last"),
                ("connect_ms", "mean"),
                ("tls_ms", "mean"),
                ("certificate_days", "last"),
                by=("gateway", "site"),
            ),
            variables=_GATEWAY,
        ),
        PanelQuery(
            percentiles(
                "vpn_gateway",
                ("connect_ms", "p95"),
                ("tls_ms", "p95"),
                by=("gateway", "site"),
            ),
            variables=_GATEWAY,
            estimated=True,
        ),
    ),
    "short",
    "table",
    width=24,
    height=7,
    columns={
        "name_last": TableColumn("Gateway"),
        "answered_mean": TableColumn(
            "Answered",
            "percentunit",
            steps=steps_of_rule("vpn_gateway_down"),
            decimals=2,
            width=110,
            absent="not known",
        ),
        "outcome_last": TableColumn(
            "Last check", value_texts=OUTCOMES, width=160, otherwise="Not measured"
        ),
        "connect_ms_mean": TableColumn("TCP", "ms", decimals=0, width=90),
        "connect_ms_p95": TableColumn("TCP, p95", "ms", decimals=0, width=100),
        "tls_ms_mean": TableColumn("TLS", "ms", decimals=0, width=90),
        "tls_ms_p95": TableColumn("TLS, p95", "ms", decimals=0, width=100),
        "certificate_days_last": TableColumn(
            "Certificate, left",
            _DAYS,
            steps=steps_of_rule("certificate_expiring"),
            decimals=0,
            width=170,
            absent="not read",
        ),
        "site": site_id_column(),
        "gateway": TableColumn("Id", hidden=True),
    },
    sort=("answered_mean", False),
    no_value="No gateway in the estate",
)
STATES = Panel(
    "When did gateways not answer?",
    "Red: at least one check of the interval had no answer. Gap: not known, such as "
    "while Towpath itself was cut off. All red at once: the Internet line that they "
    f"share. {what_to_do('vpn_gateway_down')}",
    (
        PanelQuery(
            select("vpn_gateway", ("answered", "min"), by=("gateway",)),
            "$tag_gateway",
            _GATEWAY,
        ),
    ),
    "short",
    "state-timeline",
    value_texts=UP,
)
CONNECTING = Panel(
    "How long does connecting take?",
    f"Mean of each interval, of the {_GATEWAYS_AT_MOST} slowest gateways: "
    "the TCP connection, and the TLS handshake after it. Steady is good. TCP rises: "
    "the line. Only TLS rises: the gateway's processor, as when everybody signs in at "
    "nine.",
    (
        PanelQuery(
            select("vpn_gateway", ("connect_ms", "mean"), by=("gateway",)),
            "$tag_gateway TCP",
            _SLOWEST,
        ),
        PanelQuery(
            select("vpn_gateway", ("tls_ms", "mean"), by=("gateway",)),
            "$tag_gateway TLS",
            _SLOWEST,
        ),
    ),
    "ms",
    steps=PLAIN,
    draw_thresholds=False,
    soft_minimum=0,
    soft_maximum=50,
)
CERTIFICATES = Panel(
    "When does the next certificate expire?",
    "Days left of the chosen gateways' certificate that expires first; the table above "
    "has all. It falls by one a day and jumps when that one is renewed. "
    f"{what_to_do('certificate_expiring')}",
    (
        PanelQuery(
            select("vpn_gateway", ("certificate_days", "min")),
            "the first to expire",
            _GATEWAY,
        ),
    ),
    _DAYS,
    steps=steps_of_rule("certificate_expiring"),
    draw_thresholds=True,
    decimals=0,
    soft_minimum=0,
    soft_maximum=30,
)
GATEWAY = Variable("gateway", "Gateway", "vpn_gateway", "gateway")
SLOWEST_GATEWAYS = busiest(
    "slowest_gateways",
    "Slowest gateways",
    select("vpn_gateway", ("connect_ms", "mean"), ("tls_ms", "mean"), by=("gateway",)),
    _GATEWAYS_AT_MOST,
    _GATEWAY,
)
