"""Real calls on a mirrored port (`rtp_media`), how they were set up (`sip_calls`), and
its capture (`rtp_capture`)."""

from __future__ import annotations

from collectors.declare import SITE, measurement
from probes.wire.catalogue import Field, Tag

RTP_MEDIA = measurement(
    "rtp_media",
    "real calls from one subnet to another in one minute, by the headers of RTP and "
    "the reports of RTCP on a mirrored port; of enough addresses on both sides, or "
    "gateways",
    (
        SITE,
        Tag("from_subnet", "of the estate, a /24 or /64; or other"),
        Tag("to_subnet", "of the estate, a /24 or /64; or other"),
        Tag("interface", "the network interface to which the port is mirrored"),
    ),
    Field("streams", "int", "1", "streams of RTP; a call has one in each direction"),
    Field("packets", "int", "1", "received"),
    Field("expected", "int", "1", "packets of which it is settled if they came"),
    Field("loss_ratio", "float", "ratio", "that never came", weight="expected"),
    Field("timed", "int", "1", "packets of a known clock"),
    Field("jitter_ms", "float", "ms", "mean J of RFC 3550", weight="timed"),
    Field("late_ratio", "float", "ratio", "too late to be played", weight="timed"),
    Field("reorder_ratio", "float", "ratio", "out of order", weight="packets"),
    Field("duplicate_ratio", "float", "ratio", "came twice", weight="packets"),
    Field("ef_ratio", "float", "ratio", "marked EF (DSCP 46)", weight="packets"),
    Field("rated", "int", "1", "streams with an estimated MOS"),
    Field(
        "mos_estimated",
        "float",
        "1",
        "mean of the streams' estimates (ITU-T G.107), without delay",
        weight="rated",
    ),
    Field("poor_ratio", "float", "ratio", "estimated below 3.6", weight="rated"),
    Field("one_way", "int", "1", "streams of at least five seconds without an answer"),
    Field("reported", "int", "1", "streams on which the far end sent RTCP reports"),
    Field("reported_expected", "int", "1", "packets between two reports of a far end"),
    Field(
        "reported_loss_ratio",
        "float",
        "ratio",
        "that never came to the far end, by its reports",
        weight="reported_expected",
    ),
    Field("reported_timed", "int", "1", "reports on streams of a known clock"),
    Field(
        "reported_jitter_ms",
        "float",
        "ms",
        "J of RFC 3550 at the far end, by its reports",
        weight="reported_timed",
    ),
    Field("round_trips", "int", "1", "reports that answer one that was seen"),
    Field(
        "rtt_ms",
        "float",
        "ms",
        "from the mirrored port to the far end and back",
        weight="round_trips",
    ),
    Field("extended_reports", "int", "1", "VoIP metrics of telephones (RFC 3611)"),
    Field(
        "reported_discard_ratio",
        "float",
        "ratio",
        "came too late for the telephone to be played, since the call began",
        weight="extended_reports",
    ),
    Field("reported_rated", "int", "1", "VoIP metrics with a MOS"),
    Field(
        "reported_mos",
        "float",
        "1",
        "MOS of the conversation, by the telephone (RFC 3611)",
        weight="reported_rated",
    ),
)
RTP_CAPTURE = measurement(
    "rtp_capture",
    "the capture of a mirrored port: what was seen of it in one minute",
    (Tag("interface", "the network interface to which the port is mirrored"),),
    Field("packets", "int", "1", "that passed the kernel's filter"),
    Field("dropped", "int", "1", "by the kernel, as the ring was full"),
    Field("drop_ratio", "float", "ratio", "dropped", weight="packets"),
    Field("rtp", "int", "1", "packets of streams"),
    Field("streams", "int", "1", "streams with packets"),
    Field("withheld", "int", "1", "streams in no row: of too few addresses"),
    Field("over_limit", "int", "1", "packets of streams beyond the limit"),
    Field("rtcp", "int", "1", "datagrams of RTCP that were read"),
    Field(
        "rtcp_unread",
        "int",
        "1",
        "datagrams of RTCP of known streams that are encrypted, damaged or impossible",
    ),
    Field("sip", "int", "1", "SIP messages about calls, if they are read"),
    Field("sip_gaps", "int", "1", "SIP messages over TCP that were not whole"),
    Field("sip_tls", "int", "1", "records of SIP over TLS, which cannot be read"),
    Field("calls_withheld", "int", "1", "calls in no row: of too few callers"),
    Field("down_s", "float", "s", "without the interface: not there, or down"),
)
SIP_CALLS = measurement(
    "sip_calls",
    "what became of calls on a mirrored port, by SIP, of enough callers; half a minute "
    "after it was settled",
    (
        Tag("by", "all or sip_code"),
        Tag("group", "all, or the final code of those not answered"),
        Tag("interface", "the network interface to which the port is mirrored"),
    ),
    Field("calls", "int", "1", "calls and attempts to call"),
    Field(
        "minutes", "int", "1", "of which the row is, until there were enough callers"
    ),
    *(
        Field(name, "float", "ratio", meaning, weight="calls")
        for name, meaning in (
            ("answered_ratio", "answered"),
            ("not_answered_ratio", "busy, declined or given up"),
            ("wrong_number_ratio", "to a number that there is not"),
            ("fault_ratio", "failed: trunk, provider or setting"),
            ("no_reply_ratio", "without any reply in 32 seconds"),
        )
    ),
    Field("timed", "int", "1", "answered or failed, with the time until a sign"),
    Field(
        "delay_ms",
        "float",
        "ms",
        "post-dial delay: until the first reply but 100 (RFC 6076)",
        weight="timed",
    ),
)
RTP_MEASUREMENTS = (RTP_MEDIA, RTP_CAPTURE, SIP_CALLS)
