"""What an endpoint measures: the agent's part of the catalogue.

Every measurement here is about one laptop, so every one is personal data.
"""

from probes.wire.catalogue import Catalogue, Field, Measurement, Tag
from probes.wire.vpn_products import NAMES as VPN_PRODUCTS

_TAGS = (
    Tag("agent", "pseudonym of the laptop (a keyed hash)", personal=True),
    Tag("site", "site it is at; empty where that is not an office", personal=True),
    Tag("home_site", "site its user belongs to"),
    Tag("place", "office, home, elsewhere or unknown", personal=True),
    Tag("connection", "wired, wifi, mobile or unknown"),
    Tag("vpn", "up, down, absent or unknown"),
    Tag("provider", "operator of the network it was seen from", personal=True),
    Tag("target", "what was measured against: reflector, or a service's name"),
)
_OUTCOME = (
    Field("outcome", "str", "1", "ok, or the reason from the closed list"),
    Field("ok", "int", "flag", "1 where the outcome is ok"),
    Field("cost_bytes", "int", "byte", "what the probe cost on the network"),
)


def _measure(name: str, meaning: str, period_s: int, *fields: Field) -> Measurement:
    return Measurement(
        name=name,
        meaning=meaning,
        tags=_TAGS,
        fields=(*_OUTCOME, *fields),
        period_s=period_s,
        lateness_s=600,
        retention_days=30,
        personal=True,
    )


CALL_PATH = _measure(
    "call_path",
    "a short media-like stream to the council's reflector (STAMP, RFC 8762)",
    900,
    Field("rtt_ms", "float", "ms", "mean round trip, reflector's time taken out"),
    Field("rtt_min_ms", "float", "ms", "least round trip"),
    Field("rtt_p95_ms", "float", "ms", "95th percentile round trip, nearest rank"),
    Field("jitter_ms", "float", "ms", "RFC 3550 jitter, the worse direction's"),
    Field("jitter_out_ms", "float", "ms", "RFC 3550 jitter on the way out"),
    Field("jitter_in_ms", "float", "ms", "RFC 3550 jitter on the way back"),
    Field("pdv_ms", "float", "ms", "delay variation (RFC 5481), p95, the worse way's"),
    Field("late_ratio", "float", "ratio", "too late to be played, the worse way's"),
    Field("loss_ratio", "float", "ratio", "packets lost, both directions together"),
    Field("loss_out_ratio", "float", "ratio", "packets lost on the way out"),
    Field("loss_in_ratio", "float", "ratio", "packets lost on the way back"),
    Field("burst_loss_ratio", "float", "ratio", "worst loss in any 200 ms"),
    Field("burst_density_ratio", "float", "ratio", "loss within bursts, RFC 3611"),
    Field("gap_density_ratio", "float", "ratio", "loss between bursts, RFC 3611"),
    Field("burst_ms", "float", "ms", "mean length of a burst, RFC 3611; 0: none"),
    Field("reorder_ratio", "float", "ratio", "packets that came after a later one"),
    Field("duplicate_ratio", "float", "ratio", "packets that came twice"),
    Field("mos_estimated", "float", "MOS", "estimated, narrowband E-model (G.107)"),
    Field("rtt_met", "int", "flag", "1 where below Microsoft's target of 100 ms"),
    Field("loss_met", "int", "flag", "1 where loss in any 15 s is below 1 %"),
    Field("burst_met", "int", "flag", "1 where no 200 ms lost 2 packets or more"),
    Field("jitter_met", "int", "flag", "1 where jitter is below 30 ms"),
    Field("reorder_met", "int", "flag", "1 where below 0.05 %; 2000 packets or more"),
    Field("poor", "int", "flag", "1 where a Microsoft media target was missed"),
    Field("sent", "int", "packet", "packets sent"),
    Field("received", "int", "packet", "packets that came back"),
    Field("dscp_arrived", "int", "1", "DSCP as the reflector saw it; 46 was sent"),
)
PATH = _measure(
    "path",
    "the way to the council's reflector by kinds of stations, never by address",
    1800,
    Field("gateway_rtt_ms", "float", "ms", "round trip to the router of this network"),
    Field("gateway_loss_ratio", "float", "ratio", "loss to there that goes on beyond"),
    Field(
        "provider_rtt_ms", "float", "ms", "round trip to the provider's first router"
    ),
    Field("provider_loss_ratio", "float", "ratio", "loss to there that goes on beyond"),
    Field("edge_rtt_ms", "float", "ms", "round trip to the council's reflector"),
    Field("edge_loss_ratio", "float", "ratio", "loss to there"),
    Field("hops", "int", "1", "stations to the reflector, itself included"),
    Field(
        "method",
        "str",
        "1",
        "how: udp, icmp, tcp, or connect (no stations seen)",
        among=("udp", "icmp", "tcp", "connect"),
    ),
)
TEAMS_RELAY = _measure(
    "teams_relay",
    "a few STUN requests to a relay of Teams; its loss may be the relay's own limit",
    1800,
    Field("rtt_ms", "float", "ms", "mean round trip"),
    Field("rtt_min_ms", "float", "ms", "least round trip"),
    Field("rtt_p95_ms", "float", "ms", "95th percentile round trip, nearest rank"),
    Field("jitter_ms", "float", "ms", "RFC 3550 jitter, both ways together"),
    Field("loss_ratio", "float", "ratio", "requests without an answer"),
    Field("duplicate_ratio", "float", "ratio", "answers that came twice"),
    Field("answer_code", "int", "1", "STUN error code of the answers, 0: success"),
    Field("sent", "int", "packet", "requests sent"),
    Field("received", "int", "packet", "requests answered"),
)
NAME_LOOKUP = _measure(
    "name_lookup",
    "one DNS question to the resolver in use",
    600,
    Field("lookup_ms", "float", "ms", "time to the answer"),
    Field(
        "resolver",
        "str",
        "1",
        "which kind: gateway, private, public, loopback",
        among=("gateway", "private", "public", "loopback"),
    ),
    Field("resolver_through_vpn", "int", "flag", "1 where it is asked through the VPN"),
    Field("only_ipv6", "int", "flag", "1 where the name has no IPv4 address"),
)
WEB = _measure(
    "web",
    "one HTTPS request to a named service, by phases",
    600,
    Field("lookup_ms", "float", "ms", "name resolution"),
    Field("connect_ms", "float", "ms", "TCP connection, to the proxy where one is"),
    Field("proxy_ms", "float", "ms", "the proxy's own way there (CONNECT)"),
    Field("tls_ms", "float", "ms", "TLS handshake"),
    Field("first_byte_ms", "float", "ms", "from request to first byte"),
    Field("total_ms", "float", "ms", "all of it"),
    Field("status", "int", "1", "HTTP status"),
    Field(
        "proxy",
        "str",
        "1",
        "environment, manual, pac or wpad; never its name",
        among=("environment", "manual", "pac", "wpad"),
    ),
)
VPN = _measure(
    "vpn",
    "which VPN client is there, whether its tunnel is up, and what goes through it",
    300,
    Field("up", "int", "flag", "1 where the tunnel is up"),
    Field("product", "str", "1", "which client, by its adapter", among=VPN_PRODUCTS),
    Field("mtu_byte", "int", "byte", "MTU of the tunnel's interface"),
    Field("reconnects", "int", "1", "times it came up anew within the last hour"),
    Field("connect_s", "float", "s", "time to connect, to some 15 s; when it did"),
    Field("tunnel_rtt_ms", "float", "ms", "least TCP round trip through the tunnel"),
    Field(
        "tunnel_loss_ratio", "float", "ratio", "connections not answered, through it"
    ),
    Field("direct_rtt_ms", "float", "ms", "the same beside it, to the gateway"),
    Field("direct_loss_ratio", "float", "ratio", "the same beside it, to the gateway"),
    Field("path_mtu_byte", "int", "byte", "largest packet through the tunnel and back"),
    Field("path_mtu_black_hole", "int", "flag", "1 where larger ones vanish unsaid"),
    Field("direct_path_mtu_byte", "int", "byte", "largest packet beside the tunnel"),
    Field("direct_path_mtu_black_hole", "int", "flag", "1 where larger ones vanish"),
    Field(
        "teams_way",
        "str",
        "1",
        "split_out, tunnelled, selective or unknown",
        among=("split_out", "tunnelled", "selective", "unknown"),
    ),
    Field(
        "m365_way",
        "str",
        "1",
        "the same of all Microsoft 365 Optimize networks",
        among=("split_out", "tunnelled", "selective", "unknown"),
    ),
)
WIFI = _measure(
    "wifi",
    "the Wi-Fi link; no name or address of a network",
    300,
    Field("signal_dbm", "int", "dBm", "level now"),
    Field("signal_min_dbm", "int", "dBm", "the least since the last result"),
    Field("signal_derived", "int", "flag", "1: worked out from a quality, ± 6 dB"),
    Field("quality_ratio", "float", "ratio", "quality as Windows tells it"),
    Field("noise_dbm", "int", "dBm", "noise, where the driver tells it"),
    Field("snr_db", "int", "dB", "level above noise"),
    Field("rx_bps", "float", "bit/s", "rate of the link in"),
    Field("tx_bps", "float", "bit/s", "rate of the link out"),
    Field("band_ghz", "float", "GHz", "2.4, 5 or 6"),
    Field("channel", "int", "1", "channel number"),
    Field("width_mhz", "int", "MHz", "width of the channel"),
    Field("standard", "str", "1", "such as 802.11ax"),
    Field("roams", "int", "1", "changes of access point since the last result"),
    Field("retry_ratio", "float", "ratio", "frames sent again, of all sent"),
)
LAPTOP = _measure(
    "laptop",
    "the laptop, as far as it explains a poor call; no program is looked at",
    300,
    Field("cpu_ratio", "float", "ratio", "processor in use since the last result"),
    Field("cpu_max_ratio", "float", "ratio", "the busiest moment of it"),
    Field("cpu_clock_ratio", "float", "ratio", "clock of the processor, of its most"),
    Field("memory_ratio", "float", "ratio", "memory in use"),
    Field("battery_ratio", "float", "ratio", "charge of the battery, to 5 %"),
    Field("on_battery", "int", "flag", "1 where it runs on its battery"),
    Field("uptime_days", "int", "d", "whole days since it was started"),
    Field("woke", "int", "flag", "1 where it slept since the last result"),
    Field("link_bps", "int", "bit/s", "speed of the physical link"),
    Field("half_duplex", "int", "flag", "1 where the cable's link is half duplex"),
    Field("link_mtu_byte", "int", "byte", "MTU of the physical link"),
    Field("link_errors", "int", "1", "errors of the link since the last result"),
)
BANDWIDTH = _measure(
    "bandwidth",
    "ndt7 download and upload against the council's reflector",
    86_400,
    Field("down_bps", "float", "bit/s", "download rate"),
    Field("up_bps", "float", "bit/s", "upload rate, as the server counted it"),
    Field("rtt_idle_ms", "float", "ms", "round trip before the test"),
    Field(
        "rtt_loaded_ms", "float", "ms", "round trip during the test, the worse way's"
    ),
    Field("rtt_down_ms", "float", "ms", "round trip during the download"),
    Field("rtt_up_ms", "float", "ms", "round trip during the upload"),
    Field(
        "bufferbloat",
        "str",
        "1",
        "grade of the mean increase under load, A+ to F",
        among=("A+", "A", "B", "C", "D", "F"),
    ),
    Field("responsiveness_rpm", "float", "1/min", "round trips a minute under load"),
    Field("down_retransmit_ratio", "float", "ratio", "sent again on the way down"),
    Field("up_retransmit_ratio", "float", "ratio", "sent again on the way up"),
    Field("at_least", "int", "flag", "1 where the far end or budget set a limit"),
    Field("down_at_least", "int", "flag", "1 where that held the download back"),
    Field("up_at_least", "int", "flag", "1 where that held the upload back"),
    Field("retry_after_s", "int", "s", "when a busy far end is to be asked again"),
)
AGENT = _measure(
    "agent",
    "the agent about itself",
    300,
    Field("spool_reports", "int", "1", "reports waiting to be sent"),
    Field("spool_dropped", "int", "1", "reports dropped since start, oldest first"),
    Field("rss_bytes", "int", "byte", "resident memory"),
    Field("cpu_ratio", "float", "ratio", "share of one core since start"),
    Field("uptime_s", "float", "s", "since the agent's start"),
    Field("version", "str", "1", "software version"),
)

MEASUREMENTS = (
    CALL_PATH,
    PATH,
    TEAMS_RELAY,
    NAME_LOOKUP,
    WEB,
    VPN,
    WIFI,
    LAPTOP,
    BANDWIDTH,
    AGENT,
)
CATALOGUE = Catalogue(MEASUREMENTS)
