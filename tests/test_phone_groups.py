"""Rows of telephone calls are about trunks, directions and codes, never about few."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from collectors.batch import batch_samples, check_batch
from collectors.calls.phone_call import PhoneCall
from collectors.calls.phone_groups import phone_rows
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample, Value


def call(person: int, **more: object) -> PhoneCall:
    given = {
        "trunk": "sbc1.example.gov.uk",
        "direction": "in",
        "outcome": "answered",
        "talk_s": 60.0,
        "answer_ms": 8_000.0,
        **more,
    }
    return PhoneCall(person, 0, **given)  # type: ignore[arg-type]


def failed(person: int, code: int, **more: object) -> PhoneCall:
    unanswered = {"talk_s": None, "answer_ms": None}
    return call(person, outcome="fault", sip_code=code, **unanswered, **more)


def rows(calls: Sequence[PhoneCall], least: int = 10) -> list[Sample]:
    samples = phone_rows(calls, 3_600_000, least)
    for batch in batch_samples(samples, "calls", 0):
        check_batch(batch, CATALOGUE)
    return samples


def of(samples: Sequence[Sample], by: str, group: str) -> dict[str, Value] | None:
    for sample in samples:
        if sample.tags == {"by": by, "group": group}:
            return sample.fields
    return None


def test_a_trunk_has_the_shares_of_what_its_attempts_came_to() -> None:
    calls = [call(at, answer_ms=8_040.0) for at in range(20)]
    calls += [failed(at, 503) for at in range(20)]
    fields = of(rows(calls), "trunk", "sbc1.example.gov.uk")
    assert fields is not None
    assert (fields["people"], fields["calls"], fields["attempts"]) == (20, 40, 40)
    assert (fields["answered_ratio"], fields["fault_ratio"]) == (0.5, 0.5)
    assert (fields["talks"], fields["talk_mean_s"]) == (20, 60.0)
    # To two digits: 8,040 exactly would be one person's.
    assert (fields["timed"], fields["answer_p95_ms"]) == (20, 8_000.0)


def test_failures_are_told_by_code_if_enough_people_had_them() -> None:
    calls = [call(at) for at in range(40)]
    calls += [failed(at, 503) for at in range(12)]
    calls += [failed(at, 408) for at in range(3)]
    samples = rows(calls)
    assert of(samples, "sip_code", "503") is not None
    assert of(samples, "sip_code", "408") is None


def test_a_calling_plan_has_no_share_of_failures() -> None:
    calls = [call(at, is_attempt=False, answer_ms=None) for at in range(12)]
    fields = of(rows(calls), "all", "all")
    assert fields == {"people": 10, "calls": 12, "talks": 12, "talk_mean_s": 60.0}


def test_an_attempt_without_an_outcome_is_in_no_share() -> None:
    calls = [call(at) for at in range(12)]
    calls += [call(at, outcome="unknown", talk_s=None) for at in range(12)]
    fields = of(rows(calls), "all", "all")
    assert fields is not None
    assert (fields["calls"], fields["attempts"]) == (24, 12)
    assert fields["answered_ratio"] == 1.0


def test_nine_people_have_no_row_however_many_their_calls() -> None:
    assert rows([call(at % 9) for at in range(99)]) == []


CALLS = st.builds(
    call,
    st.integers(1, 25),
    trunk=st.sampled_from(["sbc1", "sbc2", "sbc3"]),
    direction=st.sampled_from(["in", "out"]),
    outcome=st.just("fault"),
    sip_code=st.sampled_from([None, 486, 503]),
)


@given(st.lists(CALLS, max_size=60), st.integers(2, 10))
def test_no_row_is_about_fewer_than_least_and_no_two_differ_by_few(
    calls: list[PhoneCall], least: int
) -> None:
    members: dict[tuple[str, str], set[int]] = {}
    people: dict[tuple[str, str], set[int]] = {}
    for at, one in enumerate(calls):
        code = str(one.sip_code)
        for group in (
            ("all", "all"),
            ("trunk", one.trunk),
            ("direction", one.direction),
            ("trunk_direction", f"{one.trunk}/{one.direction}"),
            ("sip_code", code),
            ("trunk_sip_code", f"{one.trunk}/{code}"),
        ):
            members.setdefault(group, set()).add(at)
            people.setdefault(group, set()).add(one.person)
    shown = {(s.tags["by"], s.tags["group"]) for s in rows(calls, least)}
    for group in shown:
        assert len(people[group]) >= least
        for other in shown:
            rest = members[group] - members[other]
            if members[other] < members[group]:
                assert len({calls[at].person for at in rest}) >= least
