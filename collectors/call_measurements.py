"""Microsoft's record of calls: groups of people (`teams_calls`), meeting rooms
(`room_calls`), calls of the telephone network (`phone_calls`), exports of the Call
Quality Dashboard (`cqd_streams`) and of Teams Rooms (`teams_room`), whether test calls
saw the same (`probe_agreement`), and how reading it goes (`self_calls`)."""

from __future__ import annotations

from collectors.declare import SITE, counter
from probes.wire.catalogue import Field, Measurement, Tag

PERIOD_S = 900
# Telephone calls are fewer, and their log comes later.
PHONE_PERIOD_S = 3600
_PHONE_LATENESS_S = 36 * 3600
# Microsoft takes hours, and a window is written when they are over.
_LATENESS_S = 8 * 3600
_KEEP_DAYS = 400
_MEDIA = Tag("media", "audio, video, screen_sharing; or session, for whole calls")


def _share(weight: str, name: str, meaning: str) -> Field:
    return Field(name, "float", "ratio", meaning, weight=weight)


_VERDICTS = (
    _share("streams", "unclassified_ratio", "without a verdict: too short, muted …"),
    Field("classified", "int", "1", "streams with a verdict, good or poor"),
    _share("classified", "poor_ratio", "poor by Microsoft's rule"),
)
# Of each stream's end that is ours, in groups and in rooms.
_STREAMS = (
    Field("calls", "int", "1", "calls that ended in these 15 minutes"),
    Field("streams", "int", "1", "streams of media, at our ends"),
    *_VERDICTS,
    Field("jitter_streams", "int", "1", "streams with a jitter"),
    Field(
        "jitter_p95_ms",
        "float",
        "ms",
        "95th percentile of mean jitter",
        weight="jitter_streams",
    ),
    Field("rtt_streams", "int", "1", "streams with a round trip"),
    Field(
        "rtt_p95_ms",
        "float",
        "ms",
        "95th percentile of mean round trips",
        weight="rtt_streams",
    ),
    Field("loss_streams", "int", "1", "streams with a loss"),
    _share("loss_streams", "loss_mean_ratio", "mean loss"),
)
TEAMS_CALLS = Measurement(
    name="teams_calls",
    meaning="calls as Microsoft recorded them, for one group with enough people; at "
    "the time when they ended",
    tags=(
        Tag(
            "by",
            "all, place (inside, outside, unknown), site, connection, "
            "place_connection, site_connection, vpn, gateway, provider, leg "
            "(meeting, direct, phone) or size (two, small, large: 20 or more)",
        ),
        Tag("group", "which group"),
        _MEDIA,
    ),
    fields=(
        Field("people", "int", "1", "people of the council in them, rounded to 5"),
        *_STREAMS,
        Field("state", "str", "1", "whether there are enough streams, in words"),
        *(
            _share("classified", f"poor_{name}_ratio", f"poor because of {what}")
            for name, what in (
                ("jitter", "jitter"),
                ("loss", "lost packets"),
                ("rtt", "the round trip"),
            )
        ),
        *(
            _share("classified", f"side_{name}_ratio", f"poor, probably {where}")
            for name, where in (
                ("client", "because of the device"),
                ("network", "because of the network from there to Microsoft"),
                ("server", "on Microsoft's side: on several networks at once"),
                ("unknown", "at either end of a direct call"),
            )
        ),
        Field("sent_classified", "int", "1", "of these, sent: the first leg"),
        _share("sent_classified", "sent_poor_ratio", "poor ones of the first leg"),
        Field("received_classified", "int", "1", "of these, received: the last leg"),
        _share("received_classified", "received_poor_ratio", "poor ones of it"),
        Field("sessions", "int", "1", "ends of ours in calls, whether they worked"),
        _share("sessions", "setup_failed_ratio", "that could not be set up"),
        Field("set_up_sessions", "int", "1", "that were set up"),
        _share("set_up_sessions", "dropped_ratio", "of these, that broke off"),
    ),
    period_s=PERIOD_S,
    lateness_s=_LATENESS_S,
    retention_days=_KEEP_DAYS,
)
ROOM_CALLS = Measurement(
    name="room_calls",
    meaning="calls of a meeting room's own account, as Microsoft recorded them",
    tags=(Tag("room", "estate id of the room"), SITE, _MEDIA),
    fields=_STREAMS,
    period_s=PERIOD_S,
    lateness_s=_LATENESS_S,
    retention_days=_KEEP_DAYS,
)
PHONE_CALLS = Measurement(
    name="phone_calls",
    meaning="calls to and from the telephone network, as Microsoft logged them, for "
    "one group with enough people; in the hour when they began",
    tags=(
        Tag(
            "by",
            "all, trunk, direction, trunk_direction, sip_code or trunk_sip_code",
        ),
        Tag("group", "which group"),
    ),
    fields=(
        Field("people", "int", "1", "people of the council in them, rounded to 5"),
        Field("calls", "int", "1", "calls and attempts to call"),
        Field("attempts", "int", "1", "of these, with an outcome that the log states"),
        _share("attempts", "answered_ratio", "answered"),
        _share("attempts", "not_answered_ratio", "busy, refused or not answered"),
        _share("attempts", "wrong_number_ratio", "to a number that there is not"),
        _share("attempts", "fault_ratio", "failed: trunk, provider or setting"),
        Field("talks", "int", "1", "answered calls with a duration"),
        Field("talk_mean_s", "float", "s", "mean duration", weight="talks"),
        Field("timed", "int", "1", "answered calls with the time until then"),
        Field(
            "answer_p95_ms",
            "float",
            "ms",
            "95th percentile of the time until they were answered, ringing included",
            weight="timed",
        ),
    ),
    period_s=PHONE_PERIOD_S,
    lateness_s=_PHONE_LATENESS_S,
    retention_days=_KEEP_DAYS,
)
CQD_STREAMS = Measurement(
    name="cqd_streams",
    meaning="streams of a site in a day or month (UTC), from an export of Microsoft's "
    "Call Quality Dashboard; at its start",
    tags=(
        SITE,
        Tag("media", "audio, video or screen_sharing"),
        Tag("step", "day or month"),
    ),
    fields=(
        Field("streams", "int", "1", "streams of media, each counted once"),
        *_VERDICTS,
    ),
    period_s=86_400,
    # People import them when they like.
    lateness_s=_KEEP_DAYS * 86_400,
    retention_days=_KEEP_DAYS,
)
TEAMS_ROOM = Measurement(
    name="teams_room",
    meaning="a Teams Room on a day, from exports of Microsoft's portals; at its start",
    tags=(Tag("room", "estate id of the room"), SITE),
    fields=(
        Field(
            "health",
            "int",
            "1",
            "0 offline, 1 faulty, 2 to be looked at, 3 healthy; absent: not known",
        ),
        Field("health_text", "str", "1", "the same in Microsoft's words, or why not"),
        Field("healthy_ratio", "float", "ratio", "share of the time it was healthy"),
        Field("meetings", "int", "1", "meetings and calls"),
        Field("meetings_s", "float", "s", "their duration"),
        Field("model", "str", "1", "its devices"),
        Field("streams", "int", "1", "streams of audio, in the dashboard's count"),
        *_VERDICTS,
    ),
    period_s=86_400,
    # People import them when they like.
    lateness_s=_KEEP_DAYS * 86_400,
    retention_days=_KEEP_DAYS,
)
PROBE_AGREEMENT = Measurement(
    name="probe_agreement",
    meaning="in how many working hours of a day test calls and Microsoft's record were "
    "poor, of one group that both have; at its start",
    tags=(
        Tag("by", "all, place, site, provider or connection"),
        Tag("group", "which group"),
    ),
    fields=(
        Field("state", "str", "1", "measured; or why there is no figure, in words"),
        Field("in_record", "int", "1", "hours with streams in Microsoft's record"),
        Field("in_tests", "int", "1", "hours with test calls"),
        Field("hours", "int", "1", "hours with enough streams and enough test calls"),
        Field("both", "int", "1", "of these, poor in both"),
        Field("record_only", "int", "1", "of these, poor in the record only"),
        Field("tests_only", "int", "1", "of these, poor in the tests only"),
        Field("neither", "int", "1", "of these, poor in neither"),
        _share("hours", "same_ratio", "of these, in which both say the same"),
        Field("recorded_poor", "int", "1", "of these, poor in the record"),
        _share("recorded_poor", "seen_ratio", "of those, the tests were poor, too"),
        Field("poor_streams", "float", "1", "poor streams in these hours"),
        _share(
            "poor_streams",
            "seen_streams_ratio",
            "of those, in hours in which the tests were poor",
        ),
    ),
    period_s=86_400,
    # A day is worked out again for a week, as a record may come late.
    lateness_s=9 * 86_400,
    retention_days=_KEEP_DAYS,
)
# What the parser leaves out, by its reason.
ODD_REASONS = {
    "unreadable_record": "records or pages that are not valid JSON",
    "no_time": "records without a time",
    "unreadable_time": "times that cannot be read",
    "ends_before_start": "records that end before they begin",
    "ends_too_late": "records that end more than 31 hours after they begin",
    "no_streams": "records without streams of ours",
    "session_twice": "sessions that came twice",
    "session_of_others": "sessions in which none of ours took part",
    "test_session": "test calls",
    "other_tenant": "ends of other organisations",
    "no_tenant": "ends whose organisation is not named",
    "unknown_call_kind": "calls of a new kind",
    "unknown_connection": "connections of a new kind",
    "unknown_direction": "streams of a new direction",
    "unknown_failure_stage": "failures at a new stage",
    "unknown_label": "media with a new label",
    "jitter_out_of_range": "impossible jitter",
    "rtt_out_of_range": "impossible round trips",
    "loss_out_of_range": "impossible loss",
    "degradation_out_of_range": "impossible degradation",
    "concealed_out_of_range": "impossible shares of concealed samples",
    "frame_loss_out_of_range": "impossible loss of frames",
    "frame_rate_out_of_range": "impossible frame rates",
    "late_loss_out_of_range": "impossible loss after correction",
    "packets_out_of_range": "impossible numbers of packets",
    "phone_row_twice": "rows of telephone calls that came twice",
    "no_outcome": "telephone calls without a word whether they were answered",
    "unknown_call_type": "telephone calls of a new type",
    "no_trunk": "telephone calls without the name of a trunk",
    "sip_code_out_of_range": "impossible SIP codes",
    "duration_out_of_range": "impossible durations",
    "answer_time_out_of_range": "impossible times until a call was answered",
    "device_out_of_range": "impossible figures of devices",
}
SELF_CALLS = Measurement(
    name="self_calls",
    meaning="reading Microsoft's record of calls, since start",
    tags=(Tag("process", "process, by its roles"),),
    fields=(
        Field("reading", "int", "flag", "1 if the last round worked"),
        Field("state_text", "str", "1", "ok, or why the last round failed"),
        Field("behind_s", "float", "s", "age of the end of the last written window"),
        Field("waiting", "int", "1", "records of windows that are not over"),
        counter("windows", "windows of 15 minutes written"),
        counter("records", "records read"),
        counter("listed_again", "records listed again, unchanged"),
        counter("new_versions", "records that changed before their window was written"),
        counter("changed_late", "records that changed after it: not counted again"),
        counter("late", "records that appeared after it: not counted"),
        counter("gone", "records that Microsoft no longer has"),
        counter("left_out", "records that could not be read in eight rounds"),
        counter("phone_hours", "hours of telephone calls written"),
        counter("phone_calls", "telephone calls read"),
        counter("failures", "rounds that failed"),
        counter("throttled", "requests told to retry later"),
        Field("notified", "int", "flag", "1 if Microsoft notifies of records"),
        counter("notices", "records that Microsoft notified of"),
        counter("notices_refused", "notifications that were none of Microsoft's"),
        counter("server_errors", "requests that Microsoft failed to answer"),
        *(counter(f"odd_{name}", text) for name, text in ODD_REASONS.items()),
    ),
    period_s=60,
    lateness_s=120,
    retention_days=_KEEP_DAYS,
)
CALL_MEASUREMENTS = (
    TEAMS_CALLS,
    PHONE_CALLS,
    ROOM_CALLS,
    CQD_STREAMS,
    TEAMS_ROOM,
    PROBE_AGREEMENT,
)
