"""The probes of the laptop itself: VPN, Wi-Fi, its load, and the agent's own."""

from __future__ import annotations

from probes.wire.catalogue import Field
from probes.wire.probe import Probe, RunConditions, agent_measurement
from probes.wire.vpn_products import NAMES as VPN_PRODUCTS

_COMPARISON_BYTES = 6_000
_WAYS = ("split_out", "tunnelled", "selective", "unknown")


def _vpn_bytes(conditions: RunConditions) -> int:
    # Every third result is compared with the direct path, the MTU four times a day.
    return 0 if conditions.metered else _COMPARISON_BYTES // 3


VPN = Probe(
    measurement=agent_measurement(
        "vpn",
        "which VPN client there is, whether its tunnel is up, and what goes through it",
        300,
        Field("up", "int", "flag", "1 if the tunnel is up"),
        Field(
            "product", "str", "1", "which client, by its adapter", among=VPN_PRODUCTS
        ),
        Field("mtu_byte", "int", "byte", "MTU of the tunnel's interface"),
        Field("reconnects", "int", "1", "reconnections within the last hour"),
        Field("connect_s", "float", "s", "time to connect, to about 15 s; if it did"),
        Field(
            "tunnel_rtt_ms",
            "float",
            "ms",
            "shortest TCP round trip through the tunnel",
        ),
        Field(
            "tunnel_loss_ratio",
            "float",
            "ratio",
            "connections through the tunnel without an answer",
        ),
        Field("direct_rtt_ms", "float", "ms", "the same to the gateway, outside it"),
        Field(
            "direct_loss_ratio", "float", "ratio", "the same to the gateway, outside it"
        ),
        Field(
            "path_mtu_byte", "int", "byte", "largest packet through the tunnel and back"
        ),
        Field(
            "path_mtu_black_hole",
            "int",
            "flag",
            "1 if larger ones are dropped without an error",
        ),
        Field(
            "direct_path_mtu_byte", "int", "byte", "largest packet outside the tunnel"
        ),
        Field(
            "direct_path_mtu_black_hole",
            "int",
            "flag",
            "1 if larger ones are dropped without an error",
        ),
        Field(
            "teams_way",
            "str",
            "1",
            "how Teams traffic goes: split_out, tunnelled, selective or unknown",
            among=_WAYS,
        ),
        Field(
            "m365_way",
            "str",
            "1",
            "the same for all Microsoft 365 Optimize networks",
            among=_WAYS,
        ),
    ),
    title="VPN",
    about="Which VPN there is, whether it is connected, and whether Teams uses it",
    runner="probes.measure.vpn:VpnRunner",
    cost_bytes=_vpn_bytes,
    local=True,
    burst="explains",
)
WIFI = Probe(
    measurement=agent_measurement(
        "wifi",
        "the Wi-Fi link; no name or address of a network",
        300,
        Field("signal_dbm", "int", "dBm", "signal now"),
        Field("signal_min_dbm", "int", "dBm", "weakest signal since the last result"),
        Field(
            "signal_derived", "int", "flag", "1 if worked out from a quality, ± 6 dB"
        ),
        Field("quality_ratio", "float", "ratio", "quality as Windows reports it"),
        Field("noise_dbm", "int", "dBm", "noise, if the driver reports it"),
        Field("snr_db", "int", "dB", "signal above noise"),
        Field("rx_bps", "float", "bit/s", "link rate, receiving"),
        Field("tx_bps", "float", "bit/s", "link rate, sending"),
        Field("band_ghz", "float", "GHz", "2.4, 5 or 6"),
        Field("channel", "int", "1", "channel number"),
        Field("width_mhz", "int", "MHz", "channel width"),
        Field("standard", "str", "1", "such as 802.11ax"),
        Field("roams", "int", "1", "changes of access point since the last result"),
        Field("retry_ratio", "float", "ratio", "share of frames sent again"),
    ),
    title="Wi-Fi",
    about="How strong and steady the Wi-Fi is, never its name or address",
    runner="probes.measure.wifi:WifiRunner",
    local=True,
    burst="explains",
)
LAPTOP = Probe(
    measurement=agent_measurement(
        "laptop",
        "what about the laptop may explain a poor call; no program is looked at",
        300,
        Field("cpu_ratio", "float", "ratio", "processor use since the last result"),
        Field("cpu_max_ratio", "float", "ratio", "processor use at its busiest moment"),
        Field("cpu_clock_ratio", "float", "ratio", "processor clock, of its maximum"),
        Field("memory_ratio", "float", "ratio", "memory in use"),
        Field("battery_ratio", "float", "ratio", "battery charge, to 5 %"),
        Field("on_battery", "int", "flag", "1 if it runs on battery"),
        Field("uptime_days", "int", "d", "whole days since it was started"),
        Field("woke", "int", "flag", "1 if it slept since the last result"),
        Field("link_bps", "int", "bit/s", "speed of the physical link"),
        Field("half_duplex", "int", "flag", "1 if the cable's link is half duplex"),
        Field("link_mtu_byte", "int", "byte", "MTU of the physical link"),
        Field("link_errors", "int", "1", "errors of the link since the last result"),
    ),
    title="this laptop",
    about="What about the laptop may spoil a call, such as a busy processor or a low "
    "battery, never which programs run",
    runner="probes.measure.laptop_load:LaptopRunner",
    local=True,
    burst="explains",
)
AGENT = Probe(
    measurement=agent_measurement(
        "agent",
        "the agent about itself",
        300,
        Field("spool_reports", "int", "1", "reports waiting to be sent"),
        Field("spool_dropped", "int", "1", "reports dropped since start, oldest first"),
        Field(
            "rounds_left_out",
            "int",
            "1",
            "rounds not run since start to keep to the data budget",
        ),
        Field("rss_bytes", "int", "byte", "resident memory"),
        Field("cpu_ratio", "float", "ratio", "share of one core since start"),
        Field("uptime_s", "float", "s", "since the agent's start"),
        Field("version", "str", "1", "software version"),
    ),
    title="Towpath agent",
    about="Whether the agent itself works and can send its results",
    runner="probes.measure.agent_usage:AgentRunner",
    local=True,
)
