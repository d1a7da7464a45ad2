"""Rows of calls are about groups of enough people, and about rooms."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.batch import batch_samples, check_batch
from collectors.calls.call_groups import group_names, window_rows
from collectors.calls.call_record import (
    CallPlace,
    CallRecord,
    SessionEnd,
    Stage,
    StreamEnd,
    Verdict,
)
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample, Value

HALL = CallPlace("inside", "town-hall", "wired", "not seen")
DEPOT = CallPlace("inside", "depot", "wifi", "not seen")
HOME = CallPlace("outside", "", "wifi", "not seen", "Example Telecom")


def stream(
    person: int, place: CallPlace = HALL, verdict: Verdict = "good", **more: object
) -> StreamEnd:
    given = {"jitter_ms": 5.0, "rtt_ms": 40.0, "loss_ratio": 0.01, **more}
    room, sent = str(given.pop("room", "")), bool(given.pop("sent", False))
    return StreamEnd(
        person,
        room,
        place,
        "meeting",
        "audio",
        sent,
        verdict,
        **given,  # type: ignore[arg-type]
    )


def call(
    streams: Sequence[StreamEnd], sessions: Sequence[SessionEnd] = ()
) -> CallRecord:
    return CallRecord(tuple(streams), tuple(sessions))


def rows(*records: CallRecord, least: int = 10) -> list[Sample]:
    samples = window_rows(records, 900_000, least, {"committee-1": "town-hall"})
    for batch in batch_samples(samples, "calls", 0):
        check_batch(batch, CATALOGUE)
    return samples


def of(samples: Sequence[Sample], by: str, group: str) -> dict[str, Value] | None:
    for sample in samples:
        if sample.tags.get("by") == by and sample.tags["group"] == group:
            return sample.fields
    return None


def test_a_group_of_ten_has_the_share_of_poor_streams_without_unclassified() -> None:
    streams = [stream(at, verdict="poor" if at < 2 else "good") for at in range(8)]
    streams += [stream(at, verdict="unclassified") for at in range(8, 12)]
    streams += [stream(at) for at in range(8, 10)]
    fields = of(rows(call(streams)), "site", "town-hall")
    assert fields is not None
    assert (fields["people"], fields["calls"], fields["streams"]) == (10, 1, 14)
    assert (fields["classified"], fields["poor_ratio"]) == (10, 0.2)
    assert fields["unclassified_ratio"] == pytest.approx(4 / 14)
    assert fields["state"] == "fewer than 30 streams with a verdict"


def test_the_first_and_the_last_leg_and_the_side_are_told_apart() -> None:
    sent = [stream(at, sent=True) for at in range(10)]
    received = [
        stream(at, verdict="poor", side="server", due_to=("jitter_ms",))
        for at in range(10)
    ]
    fields = of(rows(call(sent + received)), "all", "all")
    assert fields is not None
    assert (fields["sent_poor_ratio"], fields["received_poor_ratio"]) == (0.0, 1.0)
    assert (fields["side_server_ratio"], fields["side_network_ratio"]) == (0.5, 0.0)
    assert (fields["poor_jitter_ratio"], fields["poor_loss_ratio"]) == (0.5, 0.0)


def test_nine_people_have_no_row_however_many_their_calls() -> None:
    assert rows(*(call([stream(at % 9)]) for at in range(99))) == []


def test_a_small_site_is_not_what_is_left_of_the_others() -> None:
    streams = [stream(at) for at in range(20)]
    streams += [stream(at, DEPOT) for at in range(20, 23)]
    samples = rows(call(streams))
    assert of(samples, "site", "depot") is None
    assert (of(samples, "site", "town-hall") is None) or of(
        samples, "all", "all"
    ) is None


def test_a_figure_of_few_is_left_out_and_the_others_stay() -> None:
    streams = [
        stream(at, jitter_ms=None if at < 5 else 4.0, rtt_ms=124.0) for at in range(12)
    ]
    fields = of(rows(call(streams)), "all", "all")
    assert fields is not None
    assert "jitter_p95_ms" not in fields
    # To two digits: 124 exactly would be one person's.
    assert fields["rtt_p95_ms"] == 120.0


def test_without_verdicts_there_is_no_share_and_the_words_say_why() -> None:
    fields = of(
        rows(call([stream(at, verdict="unclassified") for at in range(12)])),
        "all",
        "all",
    )
    assert fields is not None
    assert "poor_ratio" not in fields
    assert fields["state"] == "too few people with a verdict"


def test_rooms_have_rows_of_their_own_and_are_no_people() -> None:
    streams = [stream(at) for at in range(9)] + [stream(99, room="committee-1")]
    samples = rows(call(streams))
    assert {sample.measurement for sample in samples} == {"room_calls"}
    assert samples[0].tags == {
        "room": "committee-1",
        "site": "town-hall",
        "media": "audio",
    }
    assert samples[0].fields["poor_ratio"] == 0.0


def test_calls_that_fail_are_counted_by_stage() -> None:
    stages: list[Stage] = ["setup", "midcall", *[""] * 10]
    sessions = [
        SessionEnd(at, "", HALL, "meeting", stage) for at, stage in enumerate(stages)
    ]
    fields = of(rows(call([], sessions)), "all", "all")
    assert fields is not None
    assert fields["sessions"] == 12
    assert fields["setup_failed_ratio"] == pytest.approx(1 / 12)
    assert fields["dropped_ratio"] == pytest.approx(1 / 11)


PLACES = st.builds(
    CallPlace,
    place=st.sampled_from(["inside", "outside"]),
    site=st.sampled_from(["a", "b", ""]),
    connection=st.sampled_from(["wired", "wifi"]),
    vpn=st.sampled_from(["up", "not seen"]),
    gateway=st.sampled_from(["", "gw"]),
)


@given(
    st.lists(
        st.builds(
            stream,
            person=st.integers(1, 14),
            place=PLACES,
            verdict=st.sampled_from(["good", "poor", "unclassified"]),
            jitter_ms=st.none() | st.floats(0, 50),
        ),
        max_size=60,
    )
)
def test_no_row_and_no_figure_is_about_fewer_than_least(
    streams: list[StreamEnd],
) -> None:
    for sample in rows(call(streams), least=5):
        group = (sample.tags["by"], sample.tags["group"])
        mine = [end for end in streams if group in group_names(end.place, end.leg)]
        assert len({end.person for end in mine}) >= 5
        if "poor_ratio" in sample.fields:
            judged = {e.person for e in mine if e.verdict != "unclassified"}
            assert len(judged) >= 5
        if "jitter_p95_ms" in sample.fields:
            assert len({e.person for e in mine if e.jitter_ms is not None}) >= 5


def test_no_two_shown_groups_differ_by_a_few_people() -> None:
    streams = [stream(at, HOME) for at in range(30)]
    streams += [stream(at) for at in range(40, 44)]
    members: dict[tuple[str, str], set[int]] = {}
    for end in streams:
        for group in group_names(end.place, end.leg):
            members.setdefault(group, set()).add(end.person)
    shown = {(s.tags["by"], s.tags["group"]) for s in rows(call(streams))}
    differences = [
        members[one] - members[other]
        for one in shown
        for other in shown
        if members[one] > members[other]
    ]
    assert [few for few in differences if len(few) < 10] == []
    assert shown
