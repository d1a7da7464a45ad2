"""One laptop's own results: personal data, left out by default.

It queries the personal database, is in a folder of its own, and the data is kept for 30
days.
"""

from dashboards.grafana.board import (
    AMBER,
    GREEN,
    RED,
    UP,
    Board,
    BoardRow,
    Panel,
    PanelQuery,
    Variable,
    select,
    verdict_steps,
)

_AGENT = {"agent": "agent"}

MOS = Panel(
    "Calls: estimated MOS",
    "Each test call of the laptop, estimated by the E-model (G.107).",
    (
        PanelQuery(
            select("call_path", ("mos_estimated", "mean")), "estimated MOS", _AGENT
        ),
    ),
    "none",
    steps=verdict_steps("mos_estimated_p50"),
    decimals=1,
    minimum=1,
    maximum=4.5,
)
DELAY = Panel(
    "Round trip and jitter",
    "To the council's reflector.",
    (
        PanelQuery(select("call_path", ("rtt_ms", "mean")), "round trip", _AGENT),
        PanelQuery(
            select("call_path", ("rtt_p95_ms", "max")), "round trip, p95", _AGENT
        ),
        PanelQuery(select("call_path", ("jitter_ms", "mean")), "jitter", _AGENT),
    ),
    "ms",
    minimum=0,
)
LOSS = Panel(
    "Loss",
    "Packets lost on the way to the reflector and back.",
    (
        PanelQuery(select("call_path", ("loss_out_ratio", "mean")), "out", _AGENT),
        PanelQuery(select("call_path", ("loss_in_ratio", "mean")), "back", _AGENT),
    ),
    "percentunit",
    steps=((None, GREEN), (0.01, AMBER), (0.03, RED)),
    minimum=0,
)
TESTS_PASSED = Panel(
    "Test results",
    "Whether each kind of test succeeded.",
    (
        PanelQuery(select("call_path", ("ok", "min")), "call path", _AGENT),
        PanelQuery(select("name_lookup", ("ok", "min")), "name lookup", _AGENT),
        PanelQuery(
            select("web", ("ok", "min"), by=("target",)), "web $tag_target", _AGENT
        ),
        PanelQuery(select("vpn", ("up", "min")), "VPN tunnel", _AGENT),
    ),
    "short",
    "state-timeline",
    value_texts=UP,
)
WEB = Panel(
    "Web: time by phase",
    "Mean duration of each phase.",
    (
        PanelQuery(select("web", ("lookup_ms", "mean")), "name", _AGENT),
        PanelQuery(select("web", ("connect_ms", "mean")), "TCP", _AGENT),
        PanelQuery(select("web", ("tls_ms", "mean")), "TLS", _AGENT),
        PanelQuery(select("web", ("first_byte_ms", "mean")), "first byte", _AGENT),
    ),
    "ms",
    minimum=0,
)
VPN = Panel(
    "VPN: inside and outside the tunnel",
    "Shortest TCP round trip through the tunnel, and to its gateway outside it.",
    (
        PanelQuery(select("vpn", ("tunnel_rtt_ms", "mean")), "inside", _AGENT),
        PanelQuery(select("vpn", ("direct_rtt_ms", "mean")), "outside", _AGENT),
    ),
    "ms",
    minimum=0,
)
ROUND_TRIP_BY_HOP = Panel(
    "Round trip by hop",
    "To the first router, the provider's first router, the council's reflector and a "
    "Teams relay.",
    (
        PanelQuery(select("path", ("gateway_rtt_ms", "mean")), "first router", _AGENT),
        PanelQuery(select("path", ("provider_rtt_ms", "mean")), "provider", _AGENT),
        PanelQuery(select("path", ("edge_rtt_ms", "mean")), "council", _AGENT),
        PanelQuery(select("teams_relay", ("rtt_ms", "mean")), "Teams relay", _AGENT),
    ),
    "ms",
    minimum=0,
)
LOSS_BY_HOP = Panel(
    "Loss by hop",
    "Loss that starts at one hop and continues at all later ones comes from that hop.",
    (
        PanelQuery(
            select("path", ("gateway_loss_ratio", "mean")), "first router", _AGENT
        ),
        PanelQuery(select("path", ("provider_loss_ratio", "mean")), "provider", _AGENT),
        PanelQuery(select("path", ("edge_loss_ratio", "mean")), "council", _AGENT),
    ),
    "percentunit",
    steps=((None, GREEN), (0.01, AMBER), (0.03, RED)),
    minimum=0,
)
TARGETS = Panel(
    "Microsoft's media targets",
    "Green: met. Red: missed. Round trip 100 ms, loss 1% in 15 s, loss within 200 ms, "
    "jitter 30 ms.",
    (
        PanelQuery(select("call_path", ("rtt_met", "min")), "round trip", _AGENT),
        PanelQuery(select("call_path", ("loss_met", "min")), "loss", _AGENT),
        PanelQuery(select("call_path", ("burst_met", "min")), "loss in bursts", _AGENT),
        PanelQuery(select("call_path", ("jitter_met", "min")), "jitter", _AGENT),
    ),
    "short",
    "state-timeline",
    value_texts={1: ("Met", GREEN), 0: ("Missed", RED)},
)
WIFI = Panel(
    "Wi-Fi signal",
    "Level, and its weakest moment. Voice suffers below -75 dBm.",
    (
        PanelQuery(select("wifi", ("signal_dbm", "mean")), "level", _AGENT),
        PanelQuery(select("wifi", ("signal_min_dbm", "min")), "weakest", _AGENT),
    ),
    "dBm",
    steps=((None, RED), (-75, AMBER), (-67, GREEN)),
)
MACHINE = Panel(
    "Processor and memory",
    "Highest processor use, and memory in use.",
    (
        PanelQuery(select("laptop", ("cpu_max_ratio", "max")), "processor", _AGENT),
        PanelQuery(select("laptop", ("memory_ratio", "max")), "memory", _AGENT),
    ),
    "percentunit",
    minimum=0,
)
BANDWIDTH = Panel(
    "Speed tests",
    "Download above the axis, upload below it. Tests are rare and small.",
    (
        PanelQuery(select("bandwidth", ("down_bps", "max")), "download", _AGENT),
        PanelQuery(
            select("bandwidth", ("up_bps", "max")), "upload", _AGENT, below=True
        ),
    ),
    "bps",
)

LAPTOP = Board(
    "towpath-laptop",
    "One laptop (personal data)",
    "One laptop, by its pseudonym. Personal data: only for the person who asked.",
    (
        BoardRow("Calls", (MOS, DELAY, LOSS, TESTS_PASSED)),
        BoardRow("Along the route", (TARGETS, ROUND_TRIP_BY_HOP, LOSS_BY_HOP)),
        BoardRow("Web and speed", (WEB, BANDWIDTH)),
        BoardRow("Wi-Fi, VPN, laptop", (WIFI, VPN, MACHINE)),
    ),
    (Variable("agent", "Laptop", "agent", "agent", multiple=False),),
    personal=True,
)
