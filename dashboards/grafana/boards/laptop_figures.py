"""Figures of one laptop's tests over time: calls, path, web, VPN, Wi-Fi, speed."""

from collections.abc import Sequence

from collectors.store.query import Aggregate
from dashboards.grafana.board import (
    AMBER,
    GREEN,
    NEUTRAL,
    PLAIN,
    RED,
    Panel,
    PanelQuery,
    Steps,
    TableColumn,
    select,
    verdict_steps,
)
from dashboards.grafana.boards.laptop_tests import AGENT
from probes.wire.diagnosis import BUSY_RATIO, FULL_RATIO, MANY_RECONNECTS, WEAK_DBM

_LOSS = verdict_steps("loss_mean_ratio")
_RTT = verdict_steps("rtt_p95_ms")
# Voice needs a level well above the one that counts as weak.
_SIGNAL: Steps = ((None, RED), (WEAK_DBM, AMBER), (WEAK_DBM + 8, GREEN))
_BUSY: Steps = ((None, GREEN), (BUSY_RATIO, AMBER), (FULL_RATIO, RED))
_WAYS = {
    "split_out": ("beside the tunnel", GREEN),
    "tunnelled": ("through the tunnel", AMBER),
    "selective": ("partly through it", AMBER),
    "unknown": ("not known", NEUTRAL),
}
_MET = {1: ("Met", GREEN), 0: ("Missed", RED)}


def _lines(
    measurement: str, *lines: tuple[str, Aggregate, str]
) -> tuple[PanelQuery, ...]:
    """Returns one query for each field, aggregate and name of a line."""
    return tuple(
        PanelQuery(select(measurement, (field, aggregate)), name, AGENT)
        for field, aggregate, name in lines
    )


def _graph(
    title: str,
    text: str,
    targets: Sequence[PanelQuery],
    unit: str,
    steps: Steps = PLAIN,
    soft_maximum: float | None = None,
) -> Panel:
    return Panel(
        title,
        text,
        tuple(targets),
        unit,
        steps=steps,
        soft_minimum=None if unit == "dBm" else 0,
        soft_maximum=soft_maximum,
    )


MOS = Panel(
    "How good were its calls?",
    "Estimated MOS of each test call (narrowband E-model, G.107). 3.6 and more is "
    "good; below 3.1 most people complain.",
    _lines("call_path", ("mos_estimated", "min", "estimated MOS")),
    "none",
    steps=verdict_steps("mos_estimated_p50"),
    decimals=1,
    soft_minimum=3,
    soft_maximum=4.5,
    width=8,
)
DELAY = _graph(
    "How long did packets of calls take?",
    "Round trip to the council's reflector, and jitter. Calls suffer above 100 ms, and "
    "above 30 ms of jitter. High at home alone: the line or the Wi-Fi.",
    _lines(
        "call_path",
        ("rtt_ms", "mean", "round trip"),
        ("rtt_p95_ms", "max", "round trip, p95"),
        ("jitter_ms", "mean", "jitter"),
    ),
    "ms",
    _RTT,
)
LOSS = _graph(
    "How many packets did calls lose?",
    "Share of packets lost on the way to the reflector and back. Up to 1% is good. Out "
    "alone: an upload fills the line.",
    _lines(
        "call_path", ("loss_out_ratio", "max", "out"), ("loss_in_ratio", "max", "back")
    ),
    "percentunit",
    _LOSS,
    0.02,
)
TARGETS = Panel(
    "Which of Microsoft's media targets were missed?",
    "Green: met by every test call of the interval. Round trip below 100 ms, loss "
    "below 1% in any 15 s, no two packets lost within 200 ms, jitter below 30 ms.",
    _lines(
        "call_path",
        ("rtt_met", "min", "round trip"),
        ("loss_met", "min", "loss"),
        ("burst_met", "min", "loss in bursts"),
        ("jitter_met", "min", "jitter"),
    ),
    "none",
    "state-timeline",
    width=24,
    height=6,
    value_texts=_MET,
)
HOPS = _graph(
    "Where along the path is time lost?",
    "Round trip to the first router, the provider's first router, the council's "
    "reflector and a Teams relay. Where a line leaves those before it, the delay "
    "begins: at the first router it is the Wi-Fi or the cable.",
    (
        *_lines(
            "path",
            ("gateway_rtt_ms", "max", "first router"),
            ("provider_rtt_ms", "max", "provider"),
            ("edge_rtt_ms", "max", "council"),
        ),
        *_lines("teams_relay", ("rtt_ms", "max", "Teams relay")),
    ),
    "ms",
    _RTT,
)
HOP_LOSS = _graph(
    "Where along the path are packets lost?",
    "Loss that begins at one hop and goes on at all later ones comes from that hop. "
    "Up to 1% is good.",
    _lines(
        "path",
        ("gateway_loss_ratio", "max", "first router"),
        ("provider_loss_ratio", "max", "provider"),
        ("edge_loss_ratio", "max", "council"),
    ),
    "percentunit",
    _LOSS,
    0.02,
)
WEB_PHASES = _graph(
    "Which part of web requests takes the time?",
    "Mean of all services. DNS: the resolver. Connection: the way there. TLS alone: a "
    "proxy. First byte: the service.",
    _lines(
        "web",
        ("lookup_ms", "mean", "DNS"),
        ("connect_ms", "mean", "connection"),
        ("tls_ms", "mean", "TLS"),
        ("first_byte_ms", "mean", "first byte"),
    ),
    "ms",
)
VPN_UP = Panel(
    "When was the VPN up?",
    "Green: the tunnel was up. Grey: there is a VPN client and its tunnel was down for "
    "at least one result of the interval, which is usual in an office. Gap: no client, "
    "or the laptop was off.",
    _lines("vpn", ("up", "min", "VPN tunnel")),
    "none",
    "state-timeline",
    width=24,
    height=4,
    value_texts={1: ("Up", GREEN), 0: ("Not up", NEUTRAL)},
)
VPN_DELAY = _graph(
    "Does the VPN add delay?",
    "Shortest TCP round trip through the tunnel, and to its gateway outside it. Far "
    "apart: the gateway is busy or far away. Both high: the line.",
    _lines(
        "vpn",
        ("tunnel_rtt_ms", "mean", "inside"),
        ("direct_rtt_ms", "mean", "outside"),
    ),
    "ms",
)
VPN_ABOUT = Panel(
    "Which VPN is it, and what goes through it?",
    "The last result. Calls should not go through the tunnel: beside it is good. "
    "Reconnects within an hour: the network changes, or the gateway ends sessions.",
    (
        PanelQuery(
            select(
                "vpn",
                ("product", "last"),
                ("teams_way", "last"),
                ("m365_way", "last"),
                ("reconnects", "max"),
                ("connect_s", "max"),
                ("path_mtu_byte", "last"),
                by=("target",),
            ),
            variables=AGENT,
        ),
    ),
    "none",
    "table",
    columns={
        "target": TableColumn("Target", hidden=True),
        "product_last": TableColumn("Client", absent="none"),
        "teams_way_last": TableColumn("Teams", value_texts=_WAYS, width=140),
        "m365_way_last": TableColumn("Microsoft 365", value_texts=_WAYS, width=140),
        "reconnects_max": TableColumn(
            "Reconnects",
            "short",
            steps=((None, GREEN), (MANY_RECONNECTS, RED)),
            decimals=0,
            width=100,
        ),
        "connect_s_max": TableColumn("Time to connect", "s", decimals=1, width=130),
        "path_mtu_byte_last": TableColumn("Path MTU", "decbytes", decimals=0, width=90),
    },
    no_value="No VPN client",
)
SIGNAL = _graph(
    "How strong is the Wi-Fi?",
    f"Level, and its weakest moment. Voice suffers below {WEAK_DBM} dBm: move nearer "
    "to the access point, or use a cable.",
    _lines(
        "wifi", ("signal_dbm", "mean", "level"), ("signal_min_dbm", "min", "weakest")
    ),
    "dBm",
    _SIGNAL,
)
RADIO = _graph(
    "How fast is the Wi-Fi link?",
    "Rate agreed with the access point. A fall with a steady level: disturbance, or "
    "many neighbours on the channel.",
    _lines("wifi", ("rx_bps", "mean", "receiving"), ("tx_bps", "mean", "sending")),
    "bps",
)
DISTURBED = _graph(
    "Is the Wi-Fi disturbed?",
    "Share of frames sent again. Above 30% calls suffer.",
    _lines("wifi", ("retry_ratio", "max", "sent again")),
    "percentunit",
    soft_maximum=0.3,
)
ROAMS = Panel(
    "How often did it change its access point?",
    "Changes in each interval. Many while nobody walks: two access points of equal "
    "strength, or one that is full.",
    _lines("wifi", ("roams", "sum", "changes")),
    "short",
    steps=PLAIN,
    decimals=0,
    soft_minimum=0,
    bars=True,
)
MACHINE = _graph(
    "Was the laptop itself busy?",
    "Highest processor use, and memory in use. Near full, calls stutter on any "
    "network: close programs, or restart it.",
    _lines(
        "laptop",
        ("cpu_max_ratio", "max", "processor"),
        ("memory_ratio", "max", "memory"),
    ),
    "percentunit",
    _BUSY,
    1,
)
CABLE = _graph(
    "Is the cable or its port bad?",
    "Errors of the physical link in each interval. None is good; any that grow: "
    "another cable or another socket.",
    _lines("laptop", ("link_errors", "sum", "errors")),
    "short",
)
BANDWIDTH = Panel(
    "How fast is its line?",
    "Small speed tests against the council's reflector, a few a day. Download above "
    "the axis, upload below it. A limit of the test holds it to what the far end "
    "allows.",
    (
        PanelQuery(select("bandwidth", ("down_bps", "max")), "download", AGENT),
        PanelQuery(select("bandwidth", ("up_bps", "max")), "upload", AGENT, below=True),
    ),
    "bps",
    steps=PLAIN,
    bars=True,
)
LOADED = _graph(
    "Does a full line delay calls?",
    "Round trip before and during the speed tests. Far apart (bufferbloat): a "
    "download or a backup at home ruins calls; the router needs smart queues.",
    _lines(
        "bandwidth",
        ("rtt_idle_ms", "max", "before"),
        ("rtt_down_ms", "max", "during the download"),
        ("rtt_up_ms", "max", "during the upload"),
    ),
    "ms",
    _RTT,
)
WAITING = _graph(
    "Do its results arrive?",
    "Reports that wait on the laptop, and those dropped since the agent started. A "
    "few that wait while it is offline are normal; dropped ones leave gaps above. So "
    "do rounds that were not run since then, to keep to the data budget: if there are "
    "many, raise `ingest.policy.budget_bytes_per_day` or measure less often.",
    _lines(
        "agent",
        ("spool_reports", "max", "waiting"),
        ("spool_dropped", "max", "dropped"),
        ("rounds_left_out", "max", "rounds left out"),
    ),
    "short",
)
