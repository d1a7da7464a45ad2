"""The measurements `experience` and `parity`: agents' results for groups that are large
enough."""

from __future__ import annotations

from collectors.declare import measurement
from probes.wire.catalogue import Field, Tag


def _group_field(weight: str, name: str, unit: str, meaning: str) -> Field:
    """A figure of a group; `weight` is the field with the number behind it."""
    return Field(name, "float", unit, meaning, weight=weight)


EXPERIENCE = measurement(
    "experience",
    "agents' results for one group, only if the group has enough agents",
    (
        Tag(
            "by",
            "all, place, site, home_site, home_site_place, provider, connection, team "
            "or vpn (the product, if the tunnel is up)",
        ),
        Tag("group", "which group"),
    ),
    Field("agents", "int", "1", "agents that reported, rounded to 5"),
    Field("calls", "int", "1", "call path runs"),
    Field(
        "calls_once",
        "float",
        "1",
        "the same, divided by the number of a window's rows, for sums",
    ),
    _group_field(
        "calls", "call_poor_ratio", "ratio", "runs that missed a media target"
    ),
    _group_field("calls", "mos_estimated_p50", "MOS", "median estimated MOS"),
    _group_field("calls", "rtt_p95_ms", "ms", "95th percentile of mean round trips"),
    _group_field("calls", "jitter_p95_ms", "ms", "95th percentile jitter"),
    Field("loss_calls", "int", "1", "runs whose loss is known"),
    _group_field("loss_calls", "loss_mean_ratio", "ratio", "mean loss"),
    Field("judged_laptops", "int", "1", "laptops with known calls, rounded to 5"),
    *(
        _group_field(
            "judged_laptops", f"cause_{name}_ratio", "ratio", f"of laptops: {meaning}"
        )
        for name, meaning in (
            ("laptop", "a poor call, because the laptop is busy or its cable is bad"),
            ("wifi", "a poor call, because the Wi-Fi is weak or disturbed"),
            (
                "line",
                "a poor call, because of the line from the router to the provider",
            ),
            ("provider", "a poor call, because of the provider's network beyond that"),
            ("vpn", "a poor call, because of the VPN tunnel"),
            ("edge", "a poor call, because of the council's own network"),
            ("microsoft", "a good call, but a poor path to Microsoft"),
            ("unknown", "a poor call without a known cause"),
        )
    ),
    Field("mostly", "str", "1", "where most poor calls have their cause, in words"),
    *(
        Field(f"mostly_{by}", "str", "1", f"of a team: {where}, if four of five do")
        for by, where in (
            ("site", "the site whose offices its laptops are in"),
            ("provider", "the provider that they use"),
            ("vpn", "the VPN product that they use"),
        )
    ),
    Field(
        "call_tests", "str", "1", "measured; or why its calls have no figures, in words"
    ),
    Field("gateway_checks", "int", "1", "times the first router was measured, to 5"),
    _group_field(
        "gateway_checks", "gateway_poor_ratio", "ratio", "those with loss or delay"
    ),
    Field(
        "provider_checks", "int", "1", "times the provider's router was measured, to 5"
    ),
    _group_field(
        "provider_checks", "provider_loss_mean_ratio", "ratio", "mean loss to there"
    ),
    _group_field(
        "provider_checks", "provider_rtt_p95_ms", "ms", "95th percentile to there"
    ),
    Field("edge_checks", "int", "1", "times the council's edge was measured, to 5"),
    _group_field("edge_checks", "edge_loss_mean_ratio", "ratio", "mean loss to there"),
    _group_field("edge_checks", "edge_rtt_p95_ms", "ms", "95th percentile to there"),
    Field("relay_checks", "int", "1", "runs to a Teams relay, to 5"),
    _group_field(
        "relay_checks", "relay_blocked_ratio", "ratio", "those without an answer"
    ),
    _group_field("relay_checks", "relay_rtt_p95_ms", "ms", "95th percentile to there"),
    Field("media_edge_checks", "int", "1", "runs to media edges of teams, to 5"),
    _group_field(
        "media_edge_checks", "media_edge_ok_ratio", "ratio", "those with an answer"
    ),
    _group_field(
        "media_edge_checks", "media_edge_rtt_p95_ms", "ms", "95th percentile to there"
    ),
    Field(
        "vpn_laptops",
        "int",
        "1",
        "outside offices, with a VPN client, rounded to 5",
    ),
    _group_field("vpn_laptops", "vpn_up_ratio", "ratio", "those with the VPN up"),
    Field(
        "tunnel_checks", "int", "1", "round trips through and beside the tunnel, to 5"
    ),
    _group_field(
        "tunnel_checks", "tunnel_added_p50_ms", "ms", "median delay the tunnel adds"
    ),
    _group_field(
        "tunnel_checks", "tunnel_rtt_p50_ms", "ms", "median round trip through it"
    ),
    _group_field(
        "tunnel_checks", "direct_rtt_p50_ms", "ms", "the same to the gateway, beside it"
    ),
    Field("tunnel_loss_checks", "int", "1", "the same checks for loss, to 5"),
    _group_field(
        "tunnel_loss_checks", "tunnel_loss_mean_ratio", "ratio", "mean loss through it"
    ),
    _group_field(
        "tunnel_loss_checks",
        "direct_loss_mean_ratio",
        "ratio",
        "the same to the gateway, beside it",
    ),
    Field("vpn_connects", "int", "1", "times a VPN connected, to 5"),
    _group_field("vpn_connects", "vpn_connect_p50_s", "s", "median time it took"),
    Field(
        "reconnect_laptops",
        "int",
        "1",
        "outside offices, whose VPN was watched for an hour, rounded to 5",
    ),
    _group_field(
        "reconnect_laptops",
        "vpn_reconnected_ratio",
        "ratio",
        "those whose VPN reconnected within it",
    ),
    Field(
        "teams_laptops", "int", "1", "laptops whose Teams path is known, rounded to 5"
    ),
    _group_field(
        "teams_laptops",
        "teams_tunnelled_ratio",
        "ratio",
        "those with Teams' media in the VPN",
    ),
    Field("wifi_checks", "int", "1", "Wi-Fi results with a level, to 5"),
    _group_field(
        "wifi_checks", "wifi_weak_ratio", "ratio", "those at -75 dBm or below"
    ),
    _group_field("wifi_checks", "signal_p50_dbm", "dBm", "median Wi-Fi level"),
    Field("band_checks", "int", "1", "Wi-Fi results with a band, to 5"),
    _group_field("band_checks", "band_2_4_ratio", "ratio", "those in the 2.4 GHz band"),
    Field("laptop_checks", "int", "1", "results about the laptop itself, to 5"),
    _group_field(
        "laptop_checks", "laptop_busy_ratio", "ratio", "processor or memory nearly full"
    ),
    Field("web_checks", "int", "1", "web requests, to 5"),
    _group_field("web_checks", "web_ok_ratio", "ratio", "those that worked"),
    Field("microsoft_checks", "int", "1", "web requests to Microsoft, to 5"),
    _group_field(
        "microsoft_checks", "microsoft_ok_ratio", "ratio", "those that worked"
    ),
    *(
        _group_field(
            "microsoft_checks", f"microsoft_{phase}_p50_ms", "ms", f"median {meaning}"
        )
        for phase, meaning in (
            ("lookup", "time of the name lookup"),
            ("connect", "time of the TCP connection"),
            ("tls", "time of the TLS handshake"),
            ("first_byte", "time from the request to the first byte"),
        )
    ),
    *(
        field
        for name, what in (
            ("microsoft_teams", "requests to the front door of Teams"),
            ("microsoft_exchange", "requests to the front door of Exchange Online"),
            ("microsoft_sign_in", "requests to Microsoft's sign-in page"),
            ("other_web", "web requests to others than Microsoft"),
        )
        for field in (
            Field(f"{name}_checks", "int", "1", f"{what}, to 5"),
            _group_field(
                f"{name}_checks", f"{name}_ok_ratio", "ratio", "those that worked"
            ),
            _group_field(
                f"{name}_checks", f"{name}_total_p50_ms", "ms", "median time of all"
            ),
        )
    ),
    Field("name_checks", "int", "1", "name lookups, to 5"),
    _group_field("name_checks", "name_ok_ratio", "ratio", "those that worked"),
    Field("speed_tests", "int", "1", "speed tests, to 5"),
    _group_field("speed_tests", "down_bps_p50", "bit/s", "median download rate"),
    _group_field("speed_tests", "up_bps_p50", "bit/s", "median upload rate"),
    Field("bufferbloat_tests", "int", "1", "speed tests with a grade, to 5"),
    _group_field(
        "bufferbloat_tests", "bufferbloat_poor_ratio", "ratio", "those graded D or F"
    ),
    period_s=300,
)

PARITY = measurement(
    "parity",
    "home compared with office over one month, paired within laptops; at its start",
    (
        Tag("by", "all or home_site"),
        Tag("group", "which group"),
        Tag("part", "systems, bandwidth or telephony"),
    ),
    Field("state", "str", "1", "measured; or why there is no figure, in words"),
    Field("laptops", "int", "1", "laptops seen at home and at an office, to 5"),
    Field("home_only_laptops", "int", "1", "seen at home only, to 5; absent: few"),
    Field("office_only_laptops", "int", "1", "seen in offices only, to 5; absent: few"),
    Field("matched", "int", "1", "quarters of an hour compared, to 5"),
    Field(
        "effective_laptops",
        "int",
        "1",
        "as many laptops compared equally often would say as much, to 5, rounded down",
    ),
    _group_field("matched", "home_good_ratio", "ratio", "good ones at home"),
    _group_field("matched", "office_good_ratio", "ratio", "good ones in offices"),
    _group_field(
        "matched", "difference_low_ratio", "ratio", "home minus office, at least (95 %)"
    ),
    _group_field(
        "matched", "difference_high_ratio", "ratio", "home minus office, at most (95 %)"
    ),
    Field("seen", "int", "1", "quarters of an hour measured, to 5"),
    Field("possible", "int", "1", "working quarters of an hour of those laptops"),
    Field("days", "int", "1", "working days with results"),
    Field("working_days", "int", "1", "working days of the month"),
    period_s=86_400,
)
