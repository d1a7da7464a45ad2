"""What stays of a call record, and what does not."""

from __future__ import annotations

import copy
import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from call_planting import NAME, leaves, plant, planted_records, whole_record
from call_records import (
    BEGIN_MS,
    OTHER_TENANT,
    PLANTED,
    SERVICE,
    TENANT,
    account,
    end,
    media,
    meeting,
    network,
    record,
    session,
    stream,
    user,
    utc,
)
from hypothesis import given
from hypothesis import strategies as st
from platform_samples import damaged

from collectors.call_measurements import ODD_REASONS
from collectors.calls.call_record import (
    CallPlace,
    CallRecord,
    EndAddresses,
    PersonMask,
)
from collectors.calls.record_ends import ParseContext
from collectors.calls.record_parser import parse_record
from collectors.calls.stream_verdict import RuleForm, load_stream_rules

ROOM = account(900)


def locate(addresses: EndAddresses) -> CallPlace:
    """A site for each third number of an address."""
    site = addresses.address.split(".")[2] if addresses.address else ""
    return CallPlace("inside" if site else "unknown", site, addresses.connection)


def context(form: RuleForm = "latest") -> ParseContext:
    rooms = {ROOM: "committee-1", "room.2@example.gov.uk": "committee-2"}
    return ParseContext(TENANT, load_stream_rules(form), PersonMask(), locate, rooms)


def parsed(raw: Any, form: RuleForm = "latest") -> tuple[CallRecord, dict[str, int]]:
    odd: Counter[str] = Counter()
    kept = parse_record(json.dumps(raw).encode(), context(form), odd)
    assert kept is not None
    return kept, dict(odd)


def one_stream(**figures: Any) -> tuple[CallRecord, dict[str, int]]:
    return parsed(
        record(
            [
                session(
                    "s1", end(1), medias=[media([stream("callerToCallee", **figures)])]
                )
            ]
        )
    )


def test_a_meeting_keeps_figures_places_and_legs_of_each_of_our_ends() -> None:
    kept, odd = parsed(meeting(2))
    assert odd == {}
    sent, received = kept.streams[:2]
    assert (sent.sent, received.sent) == (True, False)
    assert sent.place == CallPlace("inside", "0", "wifi")
    assert (sent.jitter_ms, sent.rtt_ms, sent.loss_ratio) == (16.0, 61.0, 0.004)
    assert {one.leg for one in kept.streams} == {"meeting"}
    assert len({one.person for one in kept.streams}) == 2


def test_nothing_that_names_or_locates_a_person_stays() -> None:
    raw = meeting(2)
    raw["sessions"] += [
        session("s8", end(8, older=True), end(9)),
        session("s9", end(10), {"identity": {"phone": {"id": "+441632960001"}}}),
    ]
    text = json.dumps(raw)
    assert [word for word in PLANTED if word not in text] == []
    kept, odd = parsed(raw)
    shown = repr(kept) + repr(odd) + msgspec.json.encode(kept).decode()
    assert [word for word in PLANTED if word in shown] == []


def test_a_name_in_any_field_of_the_schema_or_a_new_one_is_not_kept() -> None:
    whole = whole_record()
    paths = list(leaves(whole))
    assert len(paths) > 250
    for path in paths:
        raw = copy.deepcopy(whole)
        plant(raw, path)
        odd: Counter[str] = Counter()
        kept = parse_record(json.dumps(raw).encode(), context(), odd)
        assert NAME not in repr(kept) + repr(odd), path
    for raw in planted_records(12):
        kept, counted = parsed(raw)
        assert NAME not in repr(kept) + repr(counted)


def test_the_number_of_a_person_means_nothing_in_another_run() -> None:
    one, other = parsed(meeting(1))[0], parsed(meeting(1))[0]
    assert one.streams[0].person != other.streams[0].person


def test_the_older_shape_is_read_like_the_latest() -> None:
    latest, older = meeting(0), meeting(0)
    latest["sessions"] = [session("s1", end(1))]
    older["sessions"] = [session("s1", end(1, older=True))]
    del older["organizer_v2"], older["participants_v2"]
    older["participants"] = [{"user": user(1)}]
    one, other = parsed(latest)[0], parsed(older)[0]
    assert len(one.streams) == len(other.streams) == 2
    for sessions in (one.sessions, other.sessions):
        assert len({session.person for session in sessions}) == 1
    assert [s.rtt_ms for s in one.streams] == [s.rtt_ms for s in other.streams]


def test_a_call_between_two_of_ours_counts_at_both_ends() -> None:
    far = network("10.150.9.7", connectionType="wired")
    kept, _ = parsed(
        record([session("s1", end(1), end(2), [media(calleeNetwork=far)])])
    )
    assert {one.leg for one in kept.streams} == {"direct"}
    assert [(one.place.site, one.sent) for one in kept.streams] == [
        ("0", True),
        ("9", False),
        ("0", False),
        ("9", True),
    ]


def test_other_tenants_guests_and_services_do_not_count_as_ours() -> None:
    guest = {"identity": {"guest": {"id": "x", "displayName": "Winifred"}}}
    kept, odd = parsed(
        record(
            [
                session("s1", end(1)),
                session("s2", end(2, OTHER_TENANT)),
                session("s3", guest),
                session("s4", SERVICE, {"identity": {"phone": {"id": "+441632"}}}),
            ]
        )
    )
    assert len({one.person for one in kept.sessions}) == 1
    assert len(kept.streams) == 2
    assert odd == {"other_tenant": 1, "session_of_others": 3}


def test_a_call_with_a_telephone_line_has_a_leg_of_its_own() -> None:
    line = {"identity": {"phone": {"id": "+441632960001"}}}
    kept, _ = parsed(record([session("s1", end(1), line)]))
    assert {one.leg for one in kept.streams} == {"phone"}


def test_rooms_are_known_by_account_or_sign_in_name_and_are_not_people() -> None:
    by_name = end(901)
    by_name["associatedIdentity"]["userPrincipalName"] = "Room.2@example.gov.uk"
    raw = record([session("s1", end(900)), session("s2", by_name)], participants_v2=[])
    kept, _ = parsed(raw)
    assert {one.room for one in kept.streams} == {"committee-1", "committee-2"}
    assert all(one.room for one in kept.sessions)


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"averagePacketLossRate": -0.1}, "loss_out_of_range"),
        ({"averagePacketLossRate": 1.5}, "loss_out_of_range"),
        ({"averagePacketLossRate": "NaN"}, "loss_out_of_range"),
        ({"averagePacketLossRate": True}, "loss_out_of_range"),
        ({"averageJitter": "-PT0.02S"}, "jitter_out_of_range"),
        ({"averageJitter": "16 ms"}, "jitter_out_of_range"),
        ({"averageJitter": 0.016}, "jitter_out_of_range"),
        ({"averageRoundTripTime": "P3D"}, "rtt_out_of_range"),
        ({"averageRoundTripTime": "PT"}, "rtt_out_of_range"),
        ({"packetUtilization": -1}, "packets_out_of_range"),
        ({"streamDirection": "bothWays"}, "unknown_direction"),
    ],
)
def test_an_impossible_value_is_left_out_and_counted(
    figures: dict[str, Any], reason: str
) -> None:
    kept, odd = one_stream(**figures)
    assert odd == {reason: 1}
    assert reason in ODD_REASONS
    assert len(kept.streams) == 1


@pytest.mark.parametrize(
    ("text", "ms"),
    [("PT0.035S", 35.0), ("PT1S", 1000.0), ("PT1M0.5S", 60_500.0), ("PT0S", 0.0)],
)
def test_durations_are_read_in_every_form(text: str, ms: float) -> None:
    kept, odd = one_stream(averageRoundTripTime=text)
    assert kept.streams[0].rtt_ms == pytest.approx(ms)
    assert odd == {}


def test_a_missing_round_trip_leaves_the_verdict_to_the_others() -> None:
    kept, odd = one_stream(averageRoundTripTime=None, averagePacketLossRate=0.2)
    assert (kept.streams[0].verdict, kept.streams[0].due_to) == (
        "poor",
        ("loss_ratio",),
    )
    assert odd == {}


def test_members_of_enumerations_that_are_new_count_as_unknown() -> None:
    raw = meeting(1)
    raw["type"] = "holographic"
    raw["sessions"][0]["segments"][0]["media"] += [media(label="main-smell")]
    net = raw["sessions"][0]["segments"][0]["media"][0]["callerNetwork"]
    net["connectionType"] = "unknownFutureValue"
    raw["sessions"][0]["failureInfo"] = {"stage": "afterlife", "reason": "Winifred"}
    kept, odd = parsed(raw)
    assert kept.sessions[0].failed == "unknown"
    assert kept.streams[0].place.connection == "unknown"
    assert odd == {
        "unknown_call_kind": 1,
        "unknown_connection": 1,
        "unknown_failure_stage": 1,
        "unknown_label": 1,
    }


def test_a_record_that_ends_before_it_begins_counts_all_the_same() -> None:
    kept, odd = parsed({**meeting(1), "endDateTime": utc(BEGIN_MS - 1000)})
    assert (len(kept.sessions), odd) == (1, {"ends_before_start": 1})


def test_a_record_without_streams_is_counted_and_kept_for_its_sessions() -> None:
    raw = record([session("s1", end(1), medias=[], failureInfo={"stage": "callSetup"})])
    kept, odd = parsed(raw)
    assert kept.streams == ()
    assert [one.failed for one in kept.sessions] == ["setup"]
    assert odd == {"no_streams": 1}


def test_a_session_on_two_pages_counts_once_and_test_calls_not_at_all() -> None:
    raw = record([session("s1", end(1)), session("t", end(2), isTest=True)])
    page = {"value": [session("s1", end(1)), session("s2", end(3))]}
    odd: Counter[str] = Counter()
    kept = parse_record(
        json.dumps(raw).encode(), context(), odd, [json.dumps(page).encode()]
    )
    assert kept is not None
    assert len(kept.sessions) == 2
    assert odd == {"session_twice": 1, "test_session": 1}


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'{"sessions": {}}', b"\xff", b"[" * 5000]
)
def test_what_is_no_record_is_counted(body: bytes) -> None:
    odd: Counter[str] = Counter()
    assert parse_record(body, context(), odd) is None
    assert odd["no_time"] == 1


def test_an_end_is_where_the_first_known_address_of_its_media_is() -> None:
    nowhere = network("", connectionType="unknown", reflexiveIPAddress="")
    medias = [media(callerNetwork=nowhere), media(callerNetwork=network("10.150.7.2"))]
    kept, _ = parsed(record([session("s1", end(1), medias=medias)]))
    assert {one.place.site for one in kept.streams} == {"7"}


def test_a_meeting_of_many_is_large_whoever_they_are() -> None:
    guest = {"identity": {"guest": {"id": "x"}}}
    outside = [session(f"o{at}", end(100 + at, OTHER_TENANT)) for at in range(9)]
    raw = meeting(10)
    raw["sessions"] += outside
    assert {one.size for one in parsed(raw)[0].streams} == {"small"}
    raw["sessions"] += [session("g", guest)]
    kept, _ = parsed(raw)
    assert {one.size for one in (*kept.streams, *kept.sessions)} == {"large"}
    two, _ = parsed(record([session("s1", end(1), end(2))]))
    assert {one.size for one in two.streams} == {"two"}


POOR = {"averageJitter": "PT0.09S"}


def test_a_busy_device_makes_a_poor_stream_the_clients() -> None:
    busy = {"cpuInsufficentEventRatio": 0.4}
    raw = record(
        [
            session(
                "s1",
                end(1),
                medias=[media([stream("callerToCallee", **POOR)], callerDevice=busy)],
            )
        ]
    )
    assert parsed(raw)[0].streams[0].side == "client"


def test_poor_on_one_network_is_the_networks_and_on_most_the_servers() -> None:
    def of(poor: int, all_: int) -> list[str]:
        sessions = [
            session(
                f"s{at}",
                end(at),
                medias=[
                    media(
                        [stream("calleeToCaller", **(POOR if at < poor else {}))],
                        callerNetwork=network(f"10.150.{at}.2"),
                    )
                ],
            )
            for at in range(all_)
        ]
        kept, _ = parsed(record(sessions))
        return [one.side for one in kept.streams if one.verdict == "poor"]

    assert of(1, 4) == ["network"]
    assert of(3, 4) == ["server"] * 3
    assert of(3, 9) == ["network"] * 3


def test_of_a_direct_call_nobody_knows_which_end_was_at_fault() -> None:
    raw = record([session("s1", end(1), end(2), [media([stream("x", **POOR)])])])
    assert {one.side for one in parsed(raw)[0].streams} == {"unknown"}


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(sorted(media())), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(data=st.data())
def test_no_record_stops_the_parser(data: st.DataObject) -> None:
    raw = json.loads(json.dumps(meeting(1)))
    places: list[tuple[Any, Any]] = []

    def note(value: Any) -> None:
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            places.append((value, key))
            if isinstance(value[key], dict | list):
                note(value[key])

    note(raw)
    for _ in range(data.draw(st.integers(1, 4))):
        holder, key = places[data.draw(st.integers(0, len(places) - 1))]
        holder[key] = data.draw(JSON)
    odd: Counter[str] = Counter()
    parse_record(json.dumps(raw).encode(), context(), odd)
    assert odd.keys() <= ODD_REASONS.keys()


@given(damaged([json.dumps(meeting(1)).encode()]))
def test_no_damaged_text_stops_the_parser(body: bytes) -> None:
    parse_record(body, context(), Counter(), [body])
