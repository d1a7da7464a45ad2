"""Telephone calls on a mirrored port, and how much of it was captured."""

from __future__ import annotations

from collectors.store.query import Aggregate, Where
from dashboards.grafana.board import (
    LOOK,
    NEUTRAL,
    BoardRow,
    Panel,
    PanelQuery,
    TableColumn,
    select,
    steps_of_rule,
)
from dashboards.grafana.boards.call_panels import record_column
from dashboards.grafana.boards.rule_texts import what_to_do
from dashboards.grafana.boards.site_states import site_id_column

_NO_MEDIA = "No port is mirrored to Towpath, or too few people"
_NO_CAPTURE = "No port is mirrored to Towpath"
_POOR_STEPS = steps_of_rule("wire_calls_poor")
_DROP_STEPS = steps_of_rule("capture_drops_packets")
_MEDIA_TEXT = (
    "Streams are the two directions of a call. Poor: an estimated MOS below 3.6, from "
    "what was lost or came too late before the mirrored port; the delay is not known."
)
_MEDIA_PICKS: tuple[tuple[str, Aggregate], ...] = (
    ("poor_ratio", "mean"),
    ("rated", "sum"),
    ("mos_estimated", "mean"),
    ("loss_ratio", "mean"),
    ("late_ratio", "mean"),
    ("jitter_ms", "mean"),
    ("one_way", "max"),
    ("ef_ratio", "mean"),
    ("reorder_ratio", "mean"),
    ("duplicate_ratio", "mean"),
    ("streams", "max"),
)
_BETWEEN = {
    "from_subnet": TableColumn("From", width=120),
    "to_subnet": TableColumn("To", width=120),
    "site": site_id_column(110),
    "interface": TableColumn("Seen on", width=56),
}
SUBNETS = Panel(
    "Between which subnets are telephone calls poor?",
    f"One row for each direction. {_MEDIA_TEXT} One-way: nothing came back for five "
    "seconds, the most in a minute. Marked EF (DSCP 46): if it is less than 100 %, "
    "queues do not favour these calls. Twice: a mirrored port that copies both "
    f"directions. If one is red: {what_to_do('wire_calls_poor')}",
    (
        PanelQuery(
            select(
                "rtp_media",
                *_MEDIA_PICKS,
                by=tuple(_BETWEEN),
            )
        ),
    ),
    "short",
    "table",
    width=24,
    height=8,
    columns={
        **_BETWEEN,
        "poor_ratio_mean": record_column(
            "rtp_media", "poor_ratio", "Poor", steps=_POOR_STEPS, width=76
        ),
        "rated_sum": record_column("rtp_media", "rated", "Stream minutes", 0),
        "mos_estimated_mean": record_column(
            "rtp_media", "mos_estimated", "Estimated MOS"
        ),
        "loss_ratio_mean": record_column(
            "rtp_media", "loss_ratio", "Lost", 2, width=76
        ),
        "late_ratio_mean": record_column("rtp_media", "late_ratio", "Too late", 2),
        "jitter_ms_mean": record_column(
            "rtp_media", "jitter_ms", "Jitter", 0, width=76
        ),
        "one_way_max": record_column(
            "rtp_media", "one_way", "One-way", 0, steps=((None, NEUTRAL), (1, LOOK))
        ),
        "ef_ratio_mean": record_column("rtp_media", "ef_ratio", "Marked EF", 0),
        "reorder_ratio_mean": record_column(
            "rtp_media", "reorder_ratio", "Out of order", 2
        ),
        "duplicate_ratio_mean": record_column(
            "rtp_media", "duplicate_ratio", "Twice", 2
        ),
        "streams_max": record_column("rtp_media", "streams", "Streams, most", 0),
    },
    sort=("poor_ratio_mean", True),
    no_value=_NO_MEDIA,
)
_REPORTED = (
    ("reported_loss_ratio", "Lost", 2),
    ("reported_discard_ratio", "Too late", 2),
    ("reported_jitter_ms", "Jitter", 0),
    ("rtt_ms", "Round trip", 0),
    ("reported_mos", "MOS", 1),
)
_REPORTED_COUNTS = (
    ("reported_expected", "Packets"),
    ("round_trips", "Round trips"),
    ("reported_rated", "Reports with MOS"),
)
FAR_ENDS = Panel(
    "What do far ends report of telephone calls between subnets?",
    "By RTCP: what came to the far end of each direction. If more is lost than in the "
    "table above, it is lost behind the mirrored port. Round trip: from the mirrored "
    "port to the far end and back. Too late and MOS: as telephones measured them. A "
    "figure is left out if fewer than ten people's telephones report it, or none.",
    (
        PanelQuery(
            select(
                "rtp_media",
                *((field, "mean") for field, _, _ in _REPORTED),
                *((field, "sum") for field, _ in _REPORTED_COUNTS),
                ("reported", "max"),
                by=tuple(_BETWEEN),
            )
        ),
    ),
    "short",
    "table",
    width=24,
    height=6,
    columns={
        **_BETWEEN,
        **{
            f"{field}_mean": record_column("rtp_media", field, title, decimals)
            for field, title, decimals in _REPORTED
        },
        **{
            f"{field}_sum": record_column("rtp_media", field, title, 0)
            for field, title in _REPORTED_COUNTS
        },
        "reported_max": record_column(
            "rtp_media", "reported", "Streams with reports, most", 0, width=120
        ),
    },
    sort=("reported_loss_ratio_mean", True),
    no_value=_NO_MEDIA,
)
_NO_SIP = "No mirrored port has its SIP read, or too few people called"
_SIP_RATIOS = (
    ("fault_ratio", "Failed"),
    ("answered_ratio", "Answered"),
    ("not_answered_ratio", "Not answered"),
    ("wrong_number_ratio", "Wrong number"),
    ("no_reply_ratio", "No reply"),
)
_PORT_COLUMN = TableColumn("Mirrored port", width=140)
SETUPS = Panel(
    "What became of telephone calls on the wire?",
    "By SIP. Failed: trunk, provider or a setting. No reply: not even 100 in 32 "
    "seconds. Post-dial delay: until the first sign, in which a caller hears nothing. "
    "Rows of fewer than ten callers wait for more.",
    (
        PanelQuery(
            select(
                "sip_calls",
                *((field, "mean") for field, _ in _SIP_RATIOS),
                ("delay_ms", "mean"),
                ("calls", "sum"),
                ("minutes", "max"),
                by=("interface",),
                where=(Where("by", ("all",)),),
            )
        ),
    ),
    "short",
    "table",
    width=24,
    height=4,
    columns={
        "interface": _PORT_COLUMN,
        **{
            f"{field}_mean": record_column("sip_calls", field, title)
            for field, title in _SIP_RATIOS
        },
        "delay_ms_mean": record_column("sip_calls", "delay_ms", "Post-dial delay", 0),
        "calls_sum": record_column("sip_calls", "calls", "Calls", 0),
        "minutes_max": record_column("sip_calls", "minutes", "Minutes in a row", 0),
    },
    sort=("fault_ratio_mean", True),
    no_value=_NO_SIP,
)
CODES = Panel(
    "With which SIP codes did calls on the wire end?",
    "Calls that were not answered, by their final code (RFC 3261): 486 is busy, 487 "
    "given up, 404 a wrong number, 5xx a fault. Codes of fewer than ten callers are "
    "left out.",
    (
        PanelQuery(
            select(
                "sip_calls",
                ("calls", "sum"),
                by=("group", "interface"),
                where=(Where("by", ("sip_code",)),),
            )
        ),
    ),
    "short",
    "table",
    width=24,
    height=5,
    columns={
        "group": TableColumn("Code", width=90),
        "interface": _PORT_COLUMN,
        "calls_sum": record_column("sip_calls", "calls", "Calls", 0),
    },
    sort=("calls_sum", True),
    no_value=_NO_SIP,
)
WHEN_POOR = Panel(
    "When were telephone calls poor?",
    f"All pairs of subnets together. {_MEDIA_TEXT} {what_to_do('wire_calls_poor')}",
    tuple(
        PanelQuery(select("rtp_media", (field, "mean")), title)
        for field, title in (
            ("poor_ratio", "poor"),
            ("loss_ratio", "packets lost"),
            ("late_ratio", "packets too late"),
        )
    ),
    "percentunit",
    height=8,
    soft_minimum=0,
    soft_maximum=0.1,
    no_value=_NO_MEDIA,
)
DROPS = Panel(
    "When were packets dropped before they were read?",
    "Share of the packets on each mirrored port. What is dropped looks like loss in "
    f"the calls' figures. {what_to_do('capture_drops_packets')}",
    (
        PanelQuery(
            select("rtp_capture", ("drop_ratio", "mean"), by=("interface",)),
            "$tag_interface",
        ),
    ),
    "percentunit",
    height=8,
    steps=_DROP_STEPS,
    draw_thresholds=True,
    soft_minimum=0,
    soft_maximum=0.01,
    no_value=_NO_CAPTURE,
)
CAPTURES = Panel(
    "How much of each mirrored port was seen?",
    "Streams in no row: of too few addresses to be shown. Beyond the limit: of more "
    "streams than Towpath follows, so not counted. RTCP not read: encrypted, most "
    "likely. A port with no packets in opening hours is probably not mirrored any "
    "more. If drops are red: "
    f"{what_to_do('capture_drops_packets')} If a port is missing: "
    f"{what_to_do('capture_silent')}",
    (
        PanelQuery(
            select(
                "rtp_capture",
                ("drop_ratio", "mean"),
                ("dropped", "sum"),
                ("packets", "sum"),
                ("rtp", "sum"),
                ("streams", "max"),
                ("withheld", "max"),
                ("over_limit", "sum"),
                ("rtcp", "sum"),
                ("rtcp_unread", "sum"),
                ("down_s", "sum"),
                by=("interface",),
            )
        ),
    ),
    "short",
    "table",
    width=24,
    height=5,
    columns={
        "interface": _PORT_COLUMN,
        "drop_ratio_mean": record_column(
            "rtp_capture", "drop_ratio", "Dropped", 2, steps=_DROP_STEPS
        ),
        "dropped_sum": record_column("rtp_capture", "dropped", "Packets dropped", 0),
        "packets_sum": record_column("rtp_capture", "packets", "Packets", 0),
        "rtp_sum": record_column("rtp_capture", "rtp", "Of streams", 0),
        "over_limit_sum": record_column(
            "rtp_capture", "over_limit", "Beyond the limit", 0
        ),
        "rtcp_sum": record_column("rtp_capture", "rtcp", "RTCP read", 0),
        "rtcp_unread_sum": record_column(
            "rtp_capture", "rtcp_unread", "RTCP not read", 0
        ),
        "down_s_sum": record_column("rtp_capture", "down_s", "Port down", 0),
        "streams_max": record_column("rtp_capture", "streams", "Streams, most", 0),
        "withheld_max": record_column("rtp_capture", "withheld", "In no row, most", 0),
    },
    sort=("drop_ratio_mean", True),
    no_value=_NO_CAPTURE,
)
SIGNALLING = Panel(
    "How much of SIP was seen?",
    "Not whole: messages over TCP of which a part was missing. Encrypted: records of "
    "SIP over TLS, which cannot be read, so their calls are not counted here. Calls "
    "in no row: of too few callers to be shown. Empty if SIP is not read (--sip).",
    (
        PanelQuery(
            select(
                "rtp_capture",
                ("sip", "sum"),
                ("sip_gaps", "sum"),
                ("sip_tls", "sum"),
                ("calls_withheld", "sum"),
                by=("interface",),
            )
        ),
    ),
    "short",
    "table",
    width=24,
    height=5,
    columns={
        "interface": _PORT_COLUMN,
        "sip_sum": record_column("rtp_capture", "sip", "SIP messages", 0),
        "sip_gaps_sum": record_column("rtp_capture", "sip_gaps", "Not whole", 0),
        "sip_tls_sum": record_column("rtp_capture", "sip_tls", "Encrypted", 0),
        "calls_withheld_sum": record_column(
            "rtp_capture", "calls_withheld", "Calls in no row", 0
        ),
    },
    sort=("sip_sum", True),
    no_value=_NO_CAPTURE,
)
WIRE_CALLS = BoardRow(
    "Telephony on the wire",
    (SUBNETS, FAR_ENDS, SETUPS, CODES, WHEN_POOR, DROPS, CAPTURES, SIGNALLING),
    collapsed=True,
)
