"""One laptop's own results: personal data, left out unless asked for.

It asks the personal database, lies in a folder of its own, and lives 30 days.
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
    ask,
    limits_of,
)

_AGENT = {"agent": "agent"}

MOS = Panel(
    "Calls: estimated MOS",
    "Each test call of the laptop; estimated (G.107), not heard.",
    (PanelQuery(ask("call_path", ("mos_estimated", "mean")), "estimated MOS", _AGENT),),
    "none",
    steps=limits_of("mos_estimated_p50"),
    decimals=1,
    least=1,
    most=4.5,
)
DELAY = Panel(
    "Round trip and jitter",
    "To the council's reflector.",
    (
        PanelQuery(ask("call_path", ("rtt_ms", "mean")), "round trip", _AGENT),
        PanelQuery(ask("call_path", ("rtt_p95_ms", "max")), "round trip, p95", _AGENT),
        PanelQuery(ask("call_path", ("jitter_ms", "mean")), "jitter", _AGENT),
    ),
    "ms",
    least=0,
)
LOSS = Panel(
    "Loss",
    "Packets lost on the way out and back.",
    (
        PanelQuery(ask("call_path", ("loss_out_ratio", "mean")), "out", _AGENT),
        PanelQuery(ask("call_path", ("loss_in_ratio", "mean")), "back", _AGENT),
    ),
    "percentunit",
    steps=((None, GREEN), (0.01, AMBER), (0.03, RED)),
    least=0,
)
OK = Panel(
    "What worked",
    "Whether each kind of test worked.",
    (
        PanelQuery(ask("call_path", ("ok", "min")), "call path", _AGENT),
        PanelQuery(ask("name_lookup", ("ok", "min")), "name lookup", _AGENT),
        PanelQuery(
            ask("web", ("ok", "min"), by=("target",)), "web $tag_target", _AGENT
        ),
        PanelQuery(ask("vpn", ("up", "min")), "VPN tunnel", _AGENT),
    ),
    "short",
    "state-timeline",
    words=UP,
)
WEB = Panel(
    "Web: where the time goes",
    "Mean of each phase.",
    (
        PanelQuery(ask("web", ("lookup_ms", "mean")), "name", _AGENT),
        PanelQuery(ask("web", ("connect_ms", "mean")), "TCP", _AGENT),
        PanelQuery(ask("web", ("tls_ms", "mean")), "TLS", _AGENT),
        PanelQuery(ask("web", ("first_byte_ms", "mean")), "first byte", _AGENT),
    ),
    "ms",
    least=0,
)
VPN = Panel(
    "VPN: through it and beside it",
    "Least TCP round trip through the tunnel, and to its gateway beside it.",
    (
        PanelQuery(ask("vpn", ("tunnel_rtt_ms", "mean")), "through the tunnel", _AGENT),
        PanelQuery(ask("vpn", ("direct_rtt_ms", "mean")), "beside it", _AGENT),
    ),
    "ms",
    least=0,
)
STATIONS = Panel(
    "Round trip by stations",
    "To the first router, the provider's first one, the council's reflector, and a "
    "relay of Teams.",
    (
        PanelQuery(ask("path", ("gateway_rtt_ms", "mean")), "first router", _AGENT),
        PanelQuery(ask("path", ("provider_rtt_ms", "mean")), "provider", _AGENT),
        PanelQuery(ask("path", ("edge_rtt_ms", "mean")), "council", _AGENT),
        PanelQuery(ask("teams_relay", ("rtt_ms", "mean")), "Teams relay", _AGENT),
    ),
    "ms",
    least=0,
)
STATIONS_LOSS = Panel(
    "Loss by stations",
    "Loss that begins at a station and goes on beyond it is that station's.",
    (
        PanelQuery(ask("path", ("gateway_loss_ratio", "mean")), "first router", _AGENT),
        PanelQuery(ask("path", ("provider_loss_ratio", "mean")), "provider", _AGENT),
        PanelQuery(ask("path", ("edge_loss_ratio", "mean")), "council", _AGENT),
    ),
    "percentunit",
    steps=((None, GREEN), (0.01, AMBER), (0.03, RED)),
    least=0,
)
TARGETS = Panel(
    "Microsoft's media targets",
    "Green was met, red was missed: round trip 100 ms, loss 1% in 15 s, loss within "
    "200 ms, jitter 30 ms.",
    (
        PanelQuery(ask("call_path", ("rtt_met", "min")), "round trip", _AGENT),
        PanelQuery(ask("call_path", ("loss_met", "min")), "loss", _AGENT),
        PanelQuery(ask("call_path", ("burst_met", "min")), "loss in bursts", _AGENT),
        PanelQuery(ask("call_path", ("jitter_met", "min")), "jitter", _AGENT),
    ),
    "short",
    "state-timeline",
    words={1: ("Met", GREEN), 0: ("Missed", RED)},
)
WIFI = Panel(
    "Wi-Fi signal",
    "Level and its weakest moment; voice suffers below -75 dBm.",
    (
        PanelQuery(ask("wifi", ("signal_dbm", "mean")), "level", _AGENT),
        PanelQuery(ask("wifi", ("signal_min_dbm", "min")), "weakest", _AGENT),
    ),
    "dBm",
    steps=((None, RED), (-75, AMBER), (-67, GREEN)),
)
MACHINE = Panel(
    "The laptop itself",
    "The processor's busiest moment, and memory in use.",
    (
        PanelQuery(ask("laptop", ("cpu_max_ratio", "max")), "processor", _AGENT),
        PanelQuery(ask("laptop", ("memory_ratio", "max")), "memory", _AGENT),
    ),
    "percentunit",
    least=0,
)
BANDWIDTH = Panel(
    "Speed tests",
    "Down above the axis, up below it; rare and polite.",
    (
        PanelQuery(ask("bandwidth", ("down_bps", "max")), "down", _AGENT),
        PanelQuery(ask("bandwidth", ("up_bps", "max")), "up", _AGENT, below=True),
    ),
    "bps",
)

LAPTOP = Board(
    "towpath-laptop",
    "One laptop (personal data)",
    "One laptop by its pseudonym. Personal data: only for the person who asked.",
    (
        BoardRow("Calls", (MOS, DELAY, LOSS, OK)),
        BoardRow("Where on the way", (TARGETS, STATIONS, STATIONS_LOSS)),
        BoardRow("Web and speed", (WEB, BANDWIDTH)),
        BoardRow("Wi-Fi, VPN, laptop", (WIFI, VPN, MACHINE)),
    ),
    (Variable("agent", "Laptop", "agent", "agent", several=False),),
    personal=True,
)
