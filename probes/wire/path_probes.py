"""The probes of the network path: call path, path, Teams relay and speed test."""

from __future__ import annotations

from probes.wire.catalogue import Field
from probes.wire.policy import TEAMS_TARGET
from probes.wire.probe import Probe, RunConditions, agent_measurement

# The call path's stream: 20 ms of audio at 36 kbit/s (90 octets, what Teams usually
# sends), plus 12 of RTP and 10 of SRTP. A bigger packet would use more data and show
# nothing more.
VOICE_BYTES = 112
# 10 s, as long as the call in Microsoft's own connectivity test.
CALL_PACKETS = 500
# A run to a media edge: a second of STUN requests, or a few TCP connections.
MEDIA_PACKETS, MEDIA_CONNECTIONS = 50, 5
# IP and TCP headers of a connection that is opened and closed, and a TLS 1.3 handshake
# with a typical chain.
CONNECT_BYTES, TLS_BYTES = 400, 5_000
# A short round: 2 s. A day with all its bursts stays within 25 MB.
SHORT_CALL_PACKETS = 100


def _call_path_bytes(conditions: RunConditions) -> int:
    packets = SHORT_CALL_PACKETS if conditions.brief else CALL_PACKETS
    return packets * 2 * (VOICE_BYTES + conditions.header_bytes)


def _path_bytes(_conditions: RunConditions) -> int:
    # 20 hops traced, then 15 rounds to two to five of them: seldom more than this.
    return 15_000


def _teams_relay_bytes(conditions: RunConditions) -> int:
    stun_bytes = 20 + 12
    relay = conditions.policy.teams_relay
    return relay.packets * 2 * (stun_bytes + conditions.header_bytes)


def _media_edge_bytes(conditions: RunConditions) -> int:
    run_bytes = {
        "stun": MEDIA_PACKETS * 2 * (20 + 12 + conditions.header_bytes),
        "tcp": MEDIA_CONNECTIONS * CONNECT_BYTES,
        # One more connection goes on to a handshake.
        "tls": (MEDIA_CONNECTIONS + 1) * CONNECT_BYTES + TLS_BYTES,
    }
    return sum(run_bytes[edge.over] for edge in conditions.policy.media_edges)


CALL_PATH = Probe(
    measurement=agent_measurement(
        "call_path",
        "a short stream like a call's to the council's reflector (STAMP, RFC 8762)",
        900,
        Field("rtt_ms", "float", "ms", "mean round trip, without the reflector's time"),
        Field("rtt_min_ms", "float", "ms", "shortest round trip"),
        Field("rtt_p95_ms", "float", "ms", "95th percentile round trip, nearest rank"),
        Field("jitter_ms", "float", "ms", "RFC 3550 jitter, the worse direction"),
        Field("jitter_out_ms", "float", "ms", "RFC 3550 jitter of the way out"),
        Field("jitter_in_ms", "float", "ms", "RFC 3550 jitter of the way back"),
        Field(
            "pdv_ms",
            "float",
            "ms",
            "delay variation (RFC 5481), p95, the worse direction",
        ),
        Field(
            "late_ratio",
            "float",
            "ratio",
            "packets too late to be played, the worse direction",
        ),
        Field("loss_ratio", "float", "ratio", "packets lost, both directions together"),
        Field("loss_out_ratio", "float", "ratio", "packets lost on the way out"),
        Field("loss_in_ratio", "float", "ratio", "packets lost on the way back"),
        Field("burst_loss_ratio", "float", "ratio", "worst loss in any 200 ms"),
        Field("burst_density_ratio", "float", "ratio", "loss within bursts, RFC 3611"),
        Field("gap_density_ratio", "float", "ratio", "loss between bursts, RFC 3611"),
        Field("burst_ms", "float", "ms", "mean length of a burst, RFC 3611; 0: none"),
        Field(
            "reorder_ratio", "float", "ratio", "packets that arrived after a later one"
        ),
        Field("duplicate_ratio", "float", "ratio", "packets that arrived twice"),
        Field(
            "mos_estimated",
            "float",
            "MOS",
            "estimated, narrowband E-model (G.107)",
        ),
        Field("rtt_met", "int", "flag", "1 if below Microsoft's target of 100 ms"),
        Field("loss_met", "int", "flag", "1 if loss in any 15 s is below 1 %"),
        Field("burst_met", "int", "flag", "1 if no 200 ms lost 2 packets or more"),
        Field("jitter_met", "int", "flag", "1 if jitter is below 30 ms"),
        Field(
            "reorder_met",
            "int",
            "flag",
            "1 if below 0.05 %; needs 2000 packets",
        ),
        Field("poor", "int", "flag", "1 if a Microsoft media target was missed"),
        Field("sent", "int", "packet", "packets sent"),
        Field("received", "int", "packet", "packets that came back"),
        Field(
            "dscp_arrived",
            "int",
            "1",
            "DSCP that the reflector saw; 46 was sent. Windows marks nothing without a "
            "QoS policy: then it is left out",
        ),
    ),
    title="call quality",
    about="A few seconds of what a call would send, to a server of the council "
    "and back",
    runner="probes.measure.call_path:CallPathRunner",
    targets="reflectors",
    cost_bytes=_call_path_bytes,
    metered_factor=8,
    burst="sign",
    judges_network=True,
)
PATH = Probe(
    measurement=agent_measurement(
        "path",
        "the way to the council's reflector by kinds of routers, never by address",
        1800,
        Field(
            "gateway_rtt_ms", "float", "ms", "round trip to the router of this network"
        ),
        Field(
            "gateway_loss_ratio",
            "float",
            "ratio",
            "loss to that router that continues beyond it",
        ),
        Field(
            "provider_rtt_ms",
            "float",
            "ms",
            "round trip to the provider's first router",
        ),
        Field(
            "provider_loss_ratio",
            "float",
            "ratio",
            "loss to that router that continues beyond it",
        ),
        Field("edge_rtt_ms", "float", "ms", "round trip to the council's reflector"),
        Field("edge_loss_ratio", "float", "ratio", "loss to the council's reflector"),
        Field("hops", "int", "1", "hops to the reflector, itself included"),
        Field(
            "method",
            "str",
            "1",
            "how: udp, icmp, tcp, or connect (no routers seen)",
            among=("udp", "icmp", "tcp", "connect"),
        ),
    ),
    title="network path",
    about="Where on the way to the council time is lost: your Wi-Fi, your "
    "provider, or beyond",
    runner="probes.measure.path:PathRunner",
    targets="reflectors",
    cost_bytes=_path_bytes,
    metered_factor=6,
    burst="explains",
    group_windows=2,
)
TEAMS_RELAY = Probe(
    measurement=agent_measurement(
        "teams_relay",
        "a few STUN requests to a Teams relay; loss may be the relay's own limit",
        1800,
        Field("rtt_ms", "float", "ms", "mean round trip"),
        Field("rtt_min_ms", "float", "ms", "shortest round trip"),
        Field("rtt_p95_ms", "float", "ms", "95th percentile round trip, nearest rank"),
        Field("jitter_ms", "float", "ms", "RFC 3550 jitter, both directions together"),
        Field("loss_ratio", "float", "ratio", "requests without an answer"),
        Field("duplicate_ratio", "float", "ratio", "answers that arrived twice"),
        Field("answer_code", "int", "1", "STUN error code of the answers, 0: success"),
        Field("sent", "int", "packet", "requests sent"),
        Field("received", "int", "packet", "requests answered"),
    ),
    title="Teams relay",
    about="Whether Microsoft's servers for Teams calls answer",
    runner="probes.measure.teams_relay:TeamsRelayRunner",
    target_names=(TEAMS_TARGET,),
    cost_bytes=_teams_relay_bytes,
    metered_factor=6,
    group_windows=2,
)
MEDIA_EDGE = Probe(
    measurement=agent_measurement(
        "media_edge",
        "the servers that take a team's calls, as its telephony's vendor names them",
        900,
        Field("rtt_ms", "float", "ms", "mean round trip, or to open a connection"),
        Field("rtt_p95_ms", "float", "ms", "95th percentile of these, nearest rank"),
        Field("jitter_ms", "float", "ms", "RFC 3550 jitter; only over STUN"),
        Field("loss_ratio", "float", "ratio", "requests without an answer, over STUN"),
        Field("tls_ms", "float", "ms", "TLS handshake; only over TLS"),
    ),
    title="media edge",
    about="Whether the servers that take your team's calls answer",
    runner="probes.measure.media_edge:MediaEdgeRunner",
    targets="media_edges",
    cost_bytes=_media_edge_bytes,
    metered_factor=8,
)
BANDWIDTH = Probe(
    measurement=agent_measurement(
        "bandwidth",
        "ndt7 download and upload against the council's reflector",
        86_400,
        Field("down_bps", "float", "bit/s", "download rate"),
        Field("up_bps", "float", "bit/s", "upload rate, as the server counted it"),
        Field("rtt_idle_ms", "float", "ms", "round trip before the test"),
        Field(
            "rtt_loaded_ms",
            "float",
            "ms",
            "round trip during the test, the worse direction",
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
        Field("responsiveness_rpm", "float", "1/min", "round trips a minute, loaded"),
        Field("down_retransmit_ratio", "float", "ratio", "download: share sent again"),
        Field("up_retransmit_ratio", "float", "ratio", "upload: share sent again"),
        Field("at_least", "int", "flag", "1 if the far end or a budget set a limit"),
        Field("down_at_least", "int", "flag", "1 if the limit held back the download"),
        Field("up_at_least", "int", "flag", "1 if the limit held back the upload"),
        Field("retry_after_s", "int", "s", "when to try a busy far end again"),
    ),
    title="speed test",
    about="How fast your connection is, to a server of the council",
    runner="probes.measure.bandwidth:BandwidthRunner",
    targets="reflectors",
    metered_factor=0,
    heavy=True,
    judges_network=True,
    fresh_s=36 * 3600,
)
