"""Call records of the tests agree with Microsoft's own samples, if they are there."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from call_planting import whole_record
from call_records import end, record, session, user
from phone_rows import charged_row, direct_row

from collectors.calls.call_record import CallPlace, PersonMask
from collectors.calls.record_ends import ParseContext
from collectors.calls.record_parser import parse_record
from collectors.calls.stream_verdict import load_stream_rules

CORPUS = Path(__file__).parents[2] / "shared" / "corpus" / "graph"
FOLDER = Path(__file__).parents[1] / "collectors" / "calls"
WITH_SAMPLES = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="no samples of Microsoft's own"
)


def _names(value: Any) -> set[str]:
    """The names of all fields in a JSON value."""
    if isinstance(value, list):
        return set().union(*map(_names, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    own = {name for name in value if "@" not in name}
    return own.union(*map(_names, value.values()))


@WITH_SAMPLES
def test_records_of_the_tests_have_only_fields_that_microsoft_documents() -> None:
    known: set[str] = set()
    for path in CORPUS.glob("*callrecord*.json"):
        known |= _names(json.loads(path.read_text()))
    for path in CORPUS.glob("pnp-2025__*.json"):
        known |= _names(json.loads(path.read_text()))
    older = session("s1", end(1, older=True), {"identity": {"phone": {"id": "+44"}}})
    made = _names(
        record([session("s2", end(2)), older], participants=[{"user": user(1)}])
    )
    assert made - known == set()
    figures = "".join(path.read_text() for path in FOLDER.glob("record_*.py"))
    read = set(re.findall(r'get\("([a-zA-Z]+)"\)|"([a-z]+EventRatio)"', figures))
    assert {name for pair in read for name in pair if name} - known == set()


@WITH_SAMPLES
def test_names_are_planted_in_every_field_that_microsoft_documents() -> None:
    known: set[str] = set()
    for path in CORPUS.glob("v1-*__callrecords-*.json"):
        known |= _names(json.loads(path.read_text()))
    assert known - _names(whole_record()) == {"value"}


@WITH_SAMPLES
@pytest.mark.parametrize(
    "name",
    [
        "v1-2021__callrecords-callrecord-get__4.sample.json",
        "beta-2021__callrecords-callrecord-get__4.sample.json",
        "v1-recent__callrecords-callrecord-get__expanded.sample.json",
    ],
)
def test_microsofts_own_samples_are_read(name: str) -> None:
    odd: Counter[str] = Counter()
    tenant = "dc368399-474c-4d40-900c-6265431fd81f"
    known = ParseContext(
        tenant, load_stream_rules(), PersonMask(), lambda addresses: CallPlace()
    )
    kept = parse_record((CORPUS / name).read_bytes(), known, odd)
    assert kept is not None
    assert {one.verdict for one in kept.streams} == {"good"}
    assert len({one.person for one in kept.sessions}) == 2
    assert odd == {}


def _kind(value: Any) -> str:
    """What a value is; of a skeleton, what its word for it means."""
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int | float):
        return "number"
    if not isinstance(value, str):
        return type(value).__name__
    word = _WORDS.get(value)
    if word:
        return word
    for form, kind in _FORMS:
        if form.fullmatch(value):
            return kind
    return "text"


_WORDS = {
    "String (duration)": "duration",
    "String (timestamp)": "time",
    "String (identifier)": "text",
    "Double": "number",
    "Integer": "number",
    "Boolean": "flag",
}
_FORMS = (
    (re.compile(r"P(\d+D)?(T(\d+H)?(\d+M)?([\d.]+S)?)?"), "duration"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)"), "time"),
)


def _kinds(value: Any, name: str, found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Adds the kinds of all values by their field; of a list, those of its entries."""
    if isinstance(value, dict):
        for key, part in value.items():
            _kinds(part, key, found)
    elif isinstance(value, list):
        for part in value:
            _kinds(part, name, found)
    if value is not None and "@" not in name and name:
        found.setdefault(name, set()).add(_kind(value))
    return found


@WITH_SAMPLES
def test_values_of_the_fake_server_are_of_the_types_that_microsoft_has() -> None:
    # The samples have it empty; it is an identity, as `user` is.
    known: dict[str, set[str]] = {"phone": {"dict"}}
    for path in [*CORPUS.glob("*callrecord*.json"), *CORPUS.glob("pnp-2025__*.json")]:
        _kinds(json.loads(path.read_text()), "", known)
    older = session("s1", end(1, older=True), {"identity": {"phone": {"id": "+44"}}})
    rows = [direct_row(), charged_row()]
    made = _kinds([record([session("s2", end(2)), older]), rows], "", {})
    others = {name: kinds - known.get(name, set()) for name, kinds in made.items()}
    assert {name: kinds for name, kinds in others.items() if kinds} == {}
    # What the parser reads as a duration or a time is one.
    for name in ("averageJitter", "averageRoundTripTime"):
        assert known[name] == {"duration"}
    for name in ("startDateTime", "endDateTime", "inviteDateTime", "failureDateTime"):
        assert known[name] == {"time"}
    assert known["finalSipCode"] == known["version"] == {"number"}
    assert known["successfulCall"] == known["isTest"] == {"flag"}
