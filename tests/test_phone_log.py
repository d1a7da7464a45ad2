"""What stays of Microsoft's logs of telephone calls, and what does not."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from call_planting import NAME, leaves, plant
from call_records import account, utc
from hypothesis import given
from hypothesis import strategies as st
from phone_rows import BEGIN_MS, PLANTED, charged_row, direct_row

from collectors.calls.call_record import PersonMask
from collectors.calls.phone_call import PhoneCall, PhoneOutcome, refusal_outcome
from collectors.calls.phone_log import PhoneLog, read_phone_rows

CORPUS = Path(__file__).parents[2] / "shared" / "corpus" / "graph"


def read(
    *rows: Any, log: PhoneLog = "direct_routing"
) -> tuple[list[PhoneCall], dict[str, int]]:
    odd: Counter[str] = Counter()
    return read_phone_rows(rows, log, PersonMask(), odd), dict(odd)


def one(log: PhoneLog = "direct_routing", **more: Any) -> PhoneCall:
    row = direct_row(**more) if log == "direct_routing" else charged_row(**more)
    (call,), _ = read(row, log=log)
    return call


def test_an_answered_call_keeps_its_trunk_direction_and_times() -> None:
    (call,), odd = read(direct_row())
    assert odd == {}
    assert (call.trunk, call.direction) == ("sbc1.example.gov.uk", "in")
    assert (call.outcome, call.sip_code, call.is_attempt) == ("answered", None, True)
    assert (call.talk_s, call.answer_ms) == (60, 8_000)
    assert call.started_ms == BEGIN_MS + 8_000


@pytest.mark.parametrize("log", ["direct_routing", "calling_plan"])
def test_no_name_account_or_number_is_kept(log: PhoneLog) -> None:
    kept = msgspec.json.encode(one(log)).decode()
    assert not [text for text in (*PLANTED, account(1)) if text in kept]


@pytest.mark.parametrize("log", ["direct_routing", "calling_plan"])
def test_a_name_in_any_field_is_not_kept_but_for_that_of_the_operator(
    log: PhoneLog,
) -> None:
    row = direct_row() if log == "direct_routing" else charged_row()
    for path in leaves(row):
        planted = copy.deepcopy(row)
        plant(planted, path)
        kept = repr(read(planted, log=log))
        assert (NAME in kept) == (path == ("operator",)), path


@pytest.mark.parametrize(
    ("operator", "shown"),
    [
        ("Example Telecom 3", "Example Telecom 3"),
        ("ann@example.gov.uk", "unknown"),
        ("+44 1632 960001", "unknown"),
        (account(1), "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_operator_is_a_company(operator: str | None, shown: str) -> None:
    assert one("calling_plan", operator=operator).trunk == shown


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (486, "person"),
        (487, "person"),
        (404, "wrong_number"),
        (403, "fault"),
        (408, "fault"),
        (503, "fault"),
        (603, "person"),
        (499, "fault"),
        (0, "unknown"),
        (200, "unknown"),
        (None, "unknown"),
    ],
)
def test_an_attempt_comes_to_what_its_sip_code_says(
    code: int | None, outcome: PhoneOutcome
) -> None:
    call = one(
        successfulCall=False,
        finalSipCode=code,
        failureDateTime=utc(BEGIN_MS + 9_000),
        endDateTime=None,
    )
    assert call.outcome == outcome
    assert (call.talk_s, call.answer_ms) == (None, None)
    assert call.started_ms == BEGIN_MS + 8_000


def test_every_sip_code_that_refuses_has_an_outcome() -> None:
    assert {refusal_outcome(code) for code in range(300, 700)} == {
        "person",
        "wrong_number",
        "fault",
    }


@pytest.mark.parametrize(
    ("call_type", "direction"),
    [
        ("ByotIn", "in"),
        ("ByotOut", "out"),
        ("ByotOutUserForwarding", "out"),
        ("dr_in_ucap", "in"),
        ("dr_out_user_conf", "out"),
        ("emergency_out", "out"),
        ("user_in", "in"),
        ("conf_out", "out"),
        ("something_inside", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_direction_is_in_the_type(call_type: str | None, direction: str) -> None:
    assert one(callType=call_type).direction == direction


def test_a_calling_plan_says_nothing_of_attempts() -> None:
    call = one("calling_plan")
    assert (call.trunk, call.direction) == ("Microsoft", "out")
    assert (call.is_attempt, call.talk_s, call.answer_ms) == (False, 219, None)


def test_a_bots_callers_are_told_apart_by_their_lines() -> None:
    bot = {"userId": None, "userPrincipalName": None}
    calls, _ = read(
        direct_row(**bot, id="a"),
        direct_row(**bot, id="b", callerNumber="+441632960009"),
        direct_row(**bot, id="c", calleeNumber="+441632960009"),
        direct_row(**bot, id="d", callerNumber=None),
    )
    first, other, same, nobody = (call.person for call in calls)
    assert first == same != other
    assert nobody == 0


def test_what_cannot_be_true_is_left_out_and_counted() -> None:
    rows = [
        direct_row(id="a", duration=-5),
        direct_row(id="b", inviteDateTime=utc(BEGIN_MS + 9_000)),
        direct_row(id="c", finalSipCode=99_999, successfulCall=False),
        direct_row(id="d", trunkFullyQualifiedDomainName="Ann <ann@example.gov.uk>"),
        direct_row(id="d"),
        direct_row(id="e", successfulCall="perhaps"),
        {"id": "f"},
    ]
    calls, odd = read(*rows)
    assert len(calls) == 5
    assert calls[3].trunk == "unknown"
    assert odd == {
        "duration_out_of_range": 1,
        "answer_time_out_of_range": 1,
        "sip_code_out_of_range": 1,
        "no_trunk": 1,
        "phone_row_twice": 1,
        "no_outcome": 1,
        "no_time": 1,
    }


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)
)


@given(
    st.dictionaries(st.sampled_from([*direct_row(), *charged_row()]), VALUES),
    st.sampled_from(["direct_routing", "calling_plan"]),
)
def test_no_row_raises(row: dict[str, Any], log: PhoneLog) -> None:
    read(row, log=log)


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.exists(), reason="needs ../shared/corpus")
def test_microsofts_own_examples_are_read() -> None:
    def sample(name: str) -> list[dict[str, Any]]:
        text = (CORPUS / f"beta-2021__callrecords-callrecord-{name}").read_text()
        rows: list[dict[str, Any]] = json.loads(text)["value"]
        return rows

    (call,), odd = read(*sample("getdirectroutingcalls__2.sample.json"))
    assert odd == {}
    assert (call.trunk, call.talk_s) == ("tll-audiocodes01.adatum.biz", 5)
    assert call.answer_ms == pytest.approx(3_156)
    (call,), odd = read(*sample("getpstncalls__2.sample.json"), log="calling_plan")
    assert odd == {}
    assert (call.trunk, call.direction, call.talk_s) == ("Microsoft", "in", 219)
