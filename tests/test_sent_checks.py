"""The result of the page /check reaches the service desk with a support code, and is
stored only then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import accessible
import msgspec
import pytest
from council_page import CSS, page_client, page_text
from hypothesis import given
from hypothesis import strategies as st
from signing_in import cheap_hashes, form_fields
from test_support_codes import HER, NOW_MS, OTHER, Clock, codes
from test_support_pages import desk

from collectors.personal_data import PLACES, erase_agent, prune_files, read_agent
from collectors.support_codes import BrowserCheck, CodeRefused, SentCheck
from dashboards.web.browser_checks import (
    FIELDS,
    CheckUnreadable,
    judge_check,
    read_check,
)
from dashboards.web.visitors import Role
from probes.wire.support_code import VALID_MS

__all__ = ["cheap_hashes"]
GOOD = BrowserCheck(21.4, 3.0, 0.0, 48.5, 9.25)
MEASURED = {
    "rtt_ms": "240.5",
    "jitter_ms": "3",
    "late_ratio": "0.002",
    "down_mbps": "48.5",
    "up_mbps": "",
    "is_away": "1",
}


def _send(here: Any, code: str, **more: str) -> Any:
    page = here.client.get("/support")
    fields = form_fields(page.text) | MEASURED | {"code": code} | more
    return here.client.post("/check/send", data=fields)


def _stored(path: Path) -> int:
    return sum("checked_ms" in line for line in _lines(path))


def _lines(path: Path) -> list[dict[str, Any]]:
    read = next(place.read for place in PLACES if place.glob == path.name)
    assert read is not None
    return read(path, HER)


def test_who_opens_the_code_reads_what_the_browser_measured(tmp_path: Path) -> None:
    with desk(tmp_path) as here:
        code = here.codes.make(HER).code
        where = here.send(code).headers["location"]
        before = page_text(here.client.get(where).text)
        assert "Nothing was sent from a browser" in before
        sent = _send(here, f"{code[:4]} {code[4:].lower()}")
        assert sent.status_code == 200
        assert "The result was sent" in page_text(sent.text)
        page = here.client.get(where)
    text = page_text(page.text)
    assert "No: calls will be poor at" in text
    assert "240 ms" in text
    assert "49 Mbit/s" in text or "48 Mbit/s" in text
    assert "Upload not measured" in text
    assert "in the background" in text
    assert accessible.findings(page.text, CSS) == []
    assert accessible.findings(sent.text, CSS) == []
    assert not any("Grace" in str(line) for line in _lines(here.codes.path)[2:])


def test_without_a_good_code_nothing_is_stored_and_nothing_typed_is_lost(
    tmp_path: Path,
) -> None:
    with desk(tmp_path) as here:
        here.codes.make(HER)
        for code, status in (("", 400), ("\u202eACDE", 400), ("AAAA AAAA", 403)):
            answer = _send(here, code)
            assert answer.status_code == status
            assert form_fields(answer.text)["rtt_ms"] == "240.5"
            assert accessible.findings(answer.text, CSS) == []
        for _ in range(10):
            answer = _send(here, "AAAA AAAA")
        assert answer.status_code == 429
        assert "too many tries" in page_text(answer.text)
        assert _stored(here.codes.path) == 0


def test_a_result_is_taken_from_our_own_form_and_with_figures_of_a_check(
    tmp_path: Path,
) -> None:
    with desk(tmp_path) as here:
        code = here.codes.make(HER).code
        other = {"sec-fetch-site": "cross-site"}
        fields = form_fields(here.client.get("/support").text) | MEASURED
        fields["code"] = code
        post = here.client.post
        assert post("/check/send", data=fields, headers=other).status_code == 403
        stale = post("/check/send", data=fields | {"form_token": "another"})
        assert stale.status_code == 303
        assert stale.headers["location"].startswith("/form/")
        for wrong in ("nan", "inf", "-1", "", "1e9", "9" * 5000, "<b>"):
            answer = post("/check/send", data=fields | {"rtt_ms": wrong})
            assert answer.status_code == 400
        long = post("/check/send", data=fields | {"x": "y" * 33_000})
        assert long.status_code == 400
        assert _stored(here.codes.path) == 0
        assert post("/check/send", data=fields).status_code == 200
        assert _stored(here.codes.path) == 1


def test_staff_may_send_and_others_who_are_not_signed_in_may_not(
    tmp_path: Path,
) -> None:
    with desk(tmp_path, Role.STAFF) as here:
        code = here.codes.make(HER).code
        token = form_fields(here.client.get("/sign-out").text)
        home = token | MEASURED | {"code": code}
        assert here.client.post("/check/send", data=home).status_code == 200
        here.client.cookies.clear()
        answer = here.client.post("/check/send", data=home)
        assert answer.status_code in (303, 403)
        assert _stored(here.codes.path) == 1


def test_without_support_codes_nothing_can_be_sent() -> None:
    with page_client() as client:
        assert client.post("/check/send", data=MEASURED).status_code == 404
        assert 'id="send"' not in client.get("/check").text


def test_checks_are_of_one_code_and_few_and_end_with_it(tmp_path: Path) -> None:
    clock = Clock()
    book = codes(tmp_path, clock)
    with pytest.raises(CodeRefused):
        book.keep_check("ACDE3479", GOOD)
    first = book.make(HER).code
    opened = book.open(first, "a", "A")
    for number in range(9):
        clock.now_ms += 1
        book.keep_check(first, BrowserCheck(number, 3.0, 0.0))
    again = book.opened(opened.reference, "a")
    assert again is not None
    assert [sent.check.rtt_ms for sent in again.checks] == [8, 7, 6, 5, 4]
    assert book.opened(opened.reference, "b") is None
    second = book.make(HER).code
    assert _stored(book.path) == 0
    with pytest.raises(CodeRefused):
        book.keep_check(first, GOOD)
    book.keep_check(second, GOOD)
    clock.now_ms += VALID_MS
    with pytest.raises(CodeRefused):
        book.keep_check(second, GOOD)
    # Another laptop's question is enough for it to be removed.
    book.of_laptop(OTHER)
    assert _stored(book.path) == 0


def test_export_erasure_and_the_limit_reach_checks(tmp_path: Path) -> None:
    book = codes(tmp_path)
    folders: Any = {"registry": tmp_path}
    for agent in (HER, OTHER):
        book.keep_check(book.make(agent).code, GOOD)
    found = [line for _, lines in read_agent(folders, HER) for line in lines]
    (checked,) = [line for line in found if "checked_ms" in line]
    assert (checked["checked_ms"], checked["down_mbps"]) == (NOW_MS, 48.5)
    assert erase_agent(folders, HER) == 2
    assert _stored(book.path) == 0
    assert prune_files(folders, NOW_MS + 1) == 2


@given(st.dictionaries(st.sampled_from([*FIELDS, "x"]), st.text(max_size=50)))
def test_any_form_is_a_check_or_is_refused(fields: dict[str, str]) -> None:
    try:
        check = read_check(fields)
    except CheckUnreadable:
        return
    assert 0 <= check.late_ratio <= 1


@given(
    st.floats(0, 60_000),
    st.floats(0, 60_000),
    st.floats(0, 1),
    st.none() | st.floats(0, 100_000),
)
def test_every_check_has_an_answer_that_worse_figures_never_better(
    rtt_ms: float, jitter_ms: float, late: float, down: float | None
) -> None:
    order = ("ok", "warn", "bad")
    check = BrowserCheck(rtt_ms, jitter_ms, late, down)
    worse = BrowserCheck(rtt_ms + 50, jitter_ms, late, down)
    levels = [judge_check(SentCheck(NOW_MS, each)).level for each in (check, worse)]
    assert order.index(levels[0]) <= order.index(levels[1])
    away = SentCheck(NOW_MS, msgspec.structs.replace(check, is_away=True))
    assert judge_check(away).level != "ok"
    fields = {
        name: "" if (value := getattr(check, name)) is None else str(value)
        for name in FIELDS[:5]
    }
    assert read_check(fields) == check
