"""Support codes: what they open, for whom and how long, and what the laptop shows."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import msgspec
import pytest
from accessible import findings
from hypothesis import given
from hypothesis import strategies as st
from ingest_council import Door, door, enrol
from test_agent_page import CSS, PAIRS, SENT, TROUBLED
from test_agent_status import NOW_MS as STATUS_NOW_MS

from collectors.personal_data import PLACES, erase_agent, prune_files, read_agent
from collectors.support_codes import (
    CodeRefused,
    CodesTooOften,
    SupportCodes,
    support_codes_file,
)
from probes.agent.laptop_requests import LaptopAnswer, LaptopRequest, RequestDesk
from probes.agent.laptop_support import WATCHED_EVERY_S, LaptopSupport
from probes.agent.server_connection import ServerConnection
from probes.diagnosis.is_it_me_page import page
from probes.diagnosis.support_text import support_lines
from probes.wire.clock import wall_ms
from probes.wire.report import AgentCredential
from probes.wire.support_code import (
    ALPHABET,
    LENGTH,
    VALID_MS,
    SupportCode,
    SupportLook,
    new_code,
    shown_code,
    typed_code,
)

NOW_MS = 1_800_000_000_000
HER, OTHER = "k1-aaaaaaaaaaaaaaaa", "k1-bbbbbbbbbbbbbbbb"
DAY_MS = 86_400_000


class Clock:
    now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def codes(folder: Path, clock: Clock | None = None) -> SupportCodes:
    return SupportCodes(folder / "support-codes.sqlite", clock or Clock())


def test_a_code_has_no_letters_that_look_alike_and_cannot_be_guessed() -> None:
    for alike in ("0OQ", "1IL", "2Z", "5S", "6G", "8B", "UV"):
        assert not set(alike) & set(ALPHABET)
    assert len(ALPHABET) ** LENGTH > 20_000_000_000
    assert len({new_code() for _ in range(500)}) == 500


@given(st.text(ALPHABET, min_size=LENGTH, max_size=LENGTH), st.booleans())
def test_a_code_is_read_however_it_is_typed(code: str, is_small: bool) -> None:
    text = shown_code(code)
    assert typed_code(text.lower() if is_small else text) == code
    assert typed_code(f" {text.replace(' ', '-')}\n") == code


@given(st.text(max_size=20))
def test_what_can_be_no_code_is_none(text: str) -> None:
    code = typed_code(text)
    assert code == "" or (len(code) == LENGTH and set(code) <= set(ALPHABET))


def test_a_code_opens_its_laptop_for_one_person_for_an_hour(tmp_path: Path) -> None:
    clock = Clock()
    book = codes(tmp_path, clock)
    code = book.make(HER).code
    opened = book.open(code, "council:grace", "Grace Hopper")
    assert (opened.agent, opened.until_ms) == (HER, NOW_MS + VALID_MS)
    assert book.open(code, "council:grace", "Grace Hopper") == opened
    assert book.opened(opened.reference, "council:grace") == opened
    with pytest.raises(CodeRefused, match="Another person"):
        book.open(code, "council:eve", "Eve")
    assert book.opened(opened.reference, "council:eve") is None
    assert book.of_laptop(HER).looks == (SupportLook("Grace Hopper", NOW_MS),)
    assert book.of_laptop(OTHER) == SupportCode()
    clock.now_ms += VALID_MS
    assert book.opened(opened.reference, "council:grace") is None
    with pytest.raises(CodeRefused, match="not known or has expired"):
        book.open(code, "council:grace", "Grace Hopper")
    # Who looked stays.
    assert len(book.of_laptop(HER).looks) == 1


def test_a_new_code_ends_the_one_before_and_what_it_opened(tmp_path: Path) -> None:
    book = codes(tmp_path)
    first = book.make(HER).code
    opened = book.open(first, "a", "A")
    second = book.make(HER).code
    assert book.opened(opened.reference, "a") is None
    with pytest.raises(CodeRefused):
        book.open(first, "a", "A")
    assert book.open(second, "b", "B").agent == HER


def test_a_laptop_gets_a_few_codes_an_hour(tmp_path: Path) -> None:
    clock = Clock()
    book = codes(tmp_path, clock)
    for _ in range(10):
        book.make(HER)
    with pytest.raises(CodesTooOften):
        book.make(HER)
    book.make(OTHER)
    clock.now_ms += VALID_MS
    book.make(HER)


def test_no_code_is_in_the_file_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    book = codes(tmp_path)
    made = [book.make(f"{HER}{number}").code for number in range(5)]
    content = book.path.read_bytes()
    assert not any(code.encode() in content for code in made)
    assert stat.S_IMODE(book.path.stat().st_mode) == 0o600


def test_export_and_erasure_reach_the_codes_of_a_laptop(tmp_path: Path) -> None:
    clock = Clock()
    book = codes(tmp_path, clock)
    for agent in (HER, OTHER):
        book.open(book.make(agent).code, "a", "Grace Hopper")
    folders = {"registry": tmp_path}
    held = {
        place.glob: records
        for place, records in read_agent(folders, HER)  # type: ignore[arg-type]
        if records
    }
    assert list(held) == ["support-codes.sqlite"]
    assert [record.get("who") for record in held["support-codes.sqlite"]] == [
        None,
        "Grace Hopper",
    ]
    assert erase_agent(folders, HER) == 2  # type: ignore[arg-type]
    assert book.of_laptop(HER) == SupportCode()
    assert book.of_laptop(OTHER).looks
    assert HER.encode() not in book.path.read_bytes()
    assert prune_files(folders, NOW_MS + 1) == 2  # type: ignore[arg-type]
    assert book.of_laptop(OTHER) == SupportCode()
    assert "support-codes.sqlite" in {place.glob for place in PLACES}


def laptop_support(council: Door, who: AgentCredential, folder: Path) -> LaptopSupport:
    connection = ServerConnection(
        f"https://localhost:{council.ingest.port}",
        who,
        str(council.certificates.authority),
        "towpath-agent test",
    )
    return LaptopSupport(folder, connection, wall_ms)


async def test_a_laptop_gets_its_code_and_sees_who_looked(tmp_path: Path) -> None:
    async with door(tmp_path) as council:
        who = enrol(council.registry, "LAPTOP-1")
        laptop = tmp_path / "laptop"
        laptop.mkdir()
        support = laptop_support(council, who, laptop)
        # Nobody has asked for a code: the server is not asked either.
        assert await support.refresh() is None
        assert support.answer_or_ask() is None
        assert await support.refresh() == WATCHED_EVERY_S
        answer = support.answer_or_ask()
        assert answer is not None
        assert answer.done
        code = support.current.code
        assert shown_code(code) in answer.text
        registry = tmp_path / "agents.sqlite"
        desk = SupportCodes(support_codes_file(registry), wall_ms)
        assert desk.open(code, "council:grace", "Grace \u202eHopper").agent == who.agent
        again = laptop_support(council, who, laptop)
        assert again.current.code == code
        again.is_wanted = False
        assert await again.refresh() == WATCHED_EVERY_S
        [look] = again.current.looks
        assert again.current.code == code
        assert look.who.startswith("Grace")
        lines = "\n".join(support_lines(again.current, wall_ms()))
        assert "Grace \\u202eHopper looked at what this laptop had measured" in lines
        stranger = AgentCredential(who.agent, "another secret", who.home_site)
        refused = laptop_support(council, stranger, tmp_path / "stranger")
        refused.is_wanted = True
        await refused.refresh()
        told = refused.answer_or_ask()
        assert told is not None
        assert not told.done
        assert "refused this laptop's credential" in told.text


async def test_without_a_server_the_person_is_told_so(tmp_path: Path) -> None:
    connection = ServerConnection("https://127.0.0.1:1", None, "", "test")
    support = LaptopSupport(tmp_path, connection, wall_ms)
    assert support.answer_or_ask() is None
    assert await support.refresh() is None
    answer = support.answer_or_ask()
    assert answer is not None
    assert "there is no support code: https://127.0.0.1:1 cannot be reached" in (
        answer.text
    )


def test_a_request_that_is_answered_later_waits_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "requests").mkdir()
    (tmp_path / "shown").mkdir()
    answers = [None, None, LaptopAnswer(True, "the code")]
    desk = RequestDesk(tmp_path, lambda request: answers.pop(0))
    path = tmp_path / "requests" / f"{1:032x}.json"
    path.write_bytes(b'{"ask":"support-code"}')
    for _ in range(2):
        assert desk.serve() == 1
        assert path.exists()
    desk.serve()
    assert not path.exists()
    assert b"the code" in (tmp_path / "shown" / "answers.json").read_bytes()
    assert LaptopRequest("support-code").ask == "support-code"


def test_the_page_shows_the_code_while_it_is_good_and_who_looked() -> None:
    looks = (SupportLook("<b>Grace</b>", STATUS_NOW_MS - 60_000),)
    support = SupportCode("ACDE3479", STATUS_NOW_MS + 60_000, looks)
    status = msgspec.structs.replace(TROUBLED, support=support)
    html = page(status, SENT, STATUS_NOW_MS, CSS)
    assert "ACDE 3479" in html
    assert "&lt;b&gt;Grace&lt;/b&gt; looked" in html
    assert findings(html, CSS, PAIRS) == []
    late = page(status, SENT, STATUS_NOW_MS + 60_000, CSS)
    assert "ACDE 3479" not in late
    assert "looked at what this laptop" in late
    assert "Nobody has looked" in page(TROUBLED, SENT, STATUS_NOW_MS, CSS)


async def test_codes_are_made_and_opened_at_the_same_time(tmp_path: Path) -> None:
    book = codes(tmp_path)

    def once(number: int) -> str:
        code = book.make(f"agent-{number}").code
        return book.open(code, str(number), "A").agent

    agents = await asyncio.gather(*(asyncio.to_thread(once, n) for n in range(20)))
    assert sorted(agents) == sorted(f"agent-{n}" for n in range(20))
