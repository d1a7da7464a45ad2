"""Call records of the tests agree with Microsoft's own samples, if they are there."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from call_records import end, record, session, user

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
