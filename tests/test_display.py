"""Names that hide something: shown by number, on every page and everywhere else."""

from __future__ import annotations

import asyncio
import csv
import email.policy
import io
import json
import re
import subprocess
import sys
import unicodedata
from email import message_from_bytes
from pathlib import Path
from typing import Any

import council
import msgspec
import pytest
import stores
from council_page import NOW_MS as PAGE_NOW_MS
from council_page import page_client
from hypothesis import given
from hypothesis import strategies as st
from report_month import NOW_MS, OCTOBER, STORE, csv_tables
from test_agent_page import CSS as AGENT_CSS
from test_agent_page import SENT
from test_agent_status import NOW_MS as AGENT_NOW_MS
from test_agent_status import status as agent_status

from alerts.alert import Alert
from alerts.notify.email import compose_message
from alerts.notify.page import PageSettings, build_page
from collectors.estate import Estate
from collectors.store.line_protocol import lines
from collectors.store.store_text import clean_tag
from dashboards import chart
from dashboards.report.report_data import gather_content
from dashboards.report.report_html import render_html
from probes.diagnosis.is_it_me_page import page as agent_page
from probes.wire.display import (
    TerminalStream,
    displayable,
    is_formula,
    isolated,
    shortened,
)
from probes.wire.policy import Incident

# It would be read as "Town evil" turned round, and what follows with it.
EVIL = "Town \u202elive\u200b\x1b[31m"
SHOWN = r"Town \u202elive\u200b\u001b[31m"
HEBREW = "מרכז (2)"
# Without these no page hides anything: directions, no width, controls.
HIDING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066\u2067\ufeff]"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Town Hall", "Town Hall"),
        ("Tŷ'r Cyngor, Llŷn", "Tŷ'r Cyngor, Llŷn"),
        (EVIL, SHOWN),
        ("a\u2066b\u2069c", r"a\u2066b\u2069c"),
        ("soft\xadhyphen\ufeff", r"soft\u00adhyphen\ufeff"),
        ("tab\there\r\nand\u2028there", "tab here  and there"),
        ("\x7f\x85\x9b31m", r"\u007f \u009b31m"),
        ("tag \U000e0041", r"tag \udb40\udc41"),
        ("half \ud800", r"half \ud800"),
        ("❤\ufe0f 🚲 é e\u0301", "❤\ufe0f 🚲 é e\u0301"),
        ("\u3164", r"\u3164"),
        # A letter that covers what is above and below.
        ("o" + "\u0335" * 9 + "k", "o" + "\u0335" * 8 + r"\u0335k"),
        # One that is closed changes nothing outside itself; one that is not does.
        ("a \u2068b\u2069 c", "a \u2068b\u2069 c"),
        ("a \u2068b", r"a \u2068b"),
    ],
)
def test_what_is_not_seen_is_shown_by_its_number(text: str, shown: str) -> None:
    assert displayable(text) == shown
    assert isolated(text) == shown


def test_a_name_from_right_to_left_is_isolated_once() -> None:
    once = isolated(HEBREW)
    assert once == f"\u2068{HEBREW}\u2069"
    assert isolated(once) == once
    assert isolated(f"{once}: its line is down") == f"{once}: its line is down"
    assert displayable(once) == once


@given(st.text())
def test_showing_is_idempotent_and_hides_nothing(text: str) -> None:
    shown = isolated(text)
    assert isolated(shown) == shown
    assert displayable(displayable(text)) == displayable(text)
    assert not HIDING.search(shown)
    depth = 0
    for character in shown:
        depth += {"\u2068": 1, "\u2069": -1}.get(character, 0)
        assert depth in (0, 1)
        assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
    assert depth == 0


def _estate() -> Estate:
    estate = council.estate()
    sites = [
        site.model_copy(update={"name": name})
        for site, name in zip(estate.sites, (EVIL, HEBREW, "Depot"), strict=True)
    ]
    return estate.model_copy(
        update={
            "sites": tuple(sites),
            "devices": tuple(
                device.model_copy(update={"name": f"{device.id} {EVIL}"})
                for device in estate.devices
            ),
            "lines": tuple(
                line.model_copy(update={"supplier": EVIL}) for line in estate.lines
            ),
            "vpn_gateways": tuple(
                gateway.model_copy(update={"name": EVIL})
                for gateway in estate.vpn_gateways
            ),
        }
    )


def _alert() -> Alert:
    return Alert(
        "line_down",
        {"line": "th-wan"},
        "critical",
        "firing",
        PAGE_NOW_MS - 60_000,
        site="town-hall",
        summary=f"{EVIL}: its line is down",
        cause=f"{EVIL}'s circuit",
        runbook=f"Ring {EVIL}.",
    )


@pytest.mark.parametrize("path", ["/", "/sites/town-hall", "/sites/library", "/alerts"])
def test_pages_hide_nothing(path: str) -> None:
    with page_client(estate=_estate(), title=EVIL, contact=EVIL) as client:
        html = client.get(path).text
    assert SHOWN in html
    assert not HIDING.search(html)
    if path == "/":
        assert f"\u2068{HEBREW}\u2069" in html


def test_the_report_and_its_spreadsheets_hide_nothing() -> None:
    estate = _estate()
    content = asyncio.run(
        gather_content(OCTOBER, list(estate.sites), STORE, estate, NOW_MS)
    )
    html = render_html(content, EVIL)
    assert html.count(SHOWN) > 3
    assert f"\u2068{HEBREW}\u2069" in html
    assert not HIDING.search(html)
    sheets = csv_tables(content)
    assert not HIDING.search("".join(sheets.values()))
    assert SHOWN in {row[2] for row in csv.reader(io.StringIO(sheets["sites"]))}


def test_drawings_hide_nothing() -> None:
    drawn = chart.strip("x", EVIL, ["ok"])
    assert SHOWN in drawn
    assert not HIDING.search(drawn)


def test_pages_to_people_hide_nothing_in_mail_and_webhook() -> None:
    page = build_page(
        [_alert()],
        "page",
        ["x"],
        PAGE_NOW_MS,
        PageSettings(council=EVIL),
        site_names={"town-hall": EVIL},
    )
    mail = message_from_bytes(
        bytes(compose_message(page, "towpath@example.org", ("noc@example.org",))),
        policy=email.policy.default,
    )
    parts: list[Any] = list(mail.iter_parts())  # type: ignore[attr-defined]
    texts = [str(mail["Subject"]), *(part.get_content() for part in parts)]
    texts.append(json.dumps(page.data, ensure_ascii=False))
    assert len(texts) == 4
    for text in texts:
        assert "202elive" in text
        assert not HIDING.search(text)
    assert page.data["alerts"][0]["site_name"] == SHOWN


@given(
    st.lists(st.sampled_from(["\u2068\u05d0\u05d1\u2069", "ab", "\u2068\u2069"])),
    st.integers(2, 30),
)
def test_a_text_that_is_cut_has_no_open_isolate(parts: list[str], most: int) -> None:
    text = "".join(parts)
    cut = shortened(text, most)
    assert len(cut) <= most
    assert displayable(cut) == cut
    assert cut == text or cut.endswith("…")


def test_the_subject_of_a_long_name_from_right_to_left_shows_no_numbers() -> None:
    """A contact centre of 300 letters, as its alert's summary names it."""
    alert = msgspec.structs.replace(
        _alert(), summary=f"Calls of {isolated(HEBREW * 100)} are poor"
    )
    page = build_page([alert], "page", ["x"], PAGE_NOW_MS)
    assert "\\u2068" not in page.subject
    assert page.subject.endswith("\u2069…")


def test_the_laptops_own_page_hides_nothing() -> None:
    known = (Incident(f"The line of {EVIL} is down", AGENT_NOW_MS - 1000),)
    shown = agent_status(incidents=known, policy_ms=AGENT_NOW_MS - 1000)
    html = agent_page(shown, SENT, AGENT_NOW_MS, AGENT_CSS)
    assert SHOWN in html
    assert not HIDING.search(html)


def test_tags_and_so_grafanas_labels_hide_nothing() -> None:
    assert clean_tag("Northern \u202eFibre\x1b") == r"Northern \u202eFibre "
    batch = stores.batch((1, {"a": "x\u202ey"}, {"whole": 1}))
    assert r"x\u202ey" in "".join(lines(batch, stores.PLAIN))


def test_a_terminal_gets_colours_of_programs_and_nothing_that_hides() -> None:
    class Screen(TerminalStream):
        def isatty(self) -> bool:
            return True

    for kind, colour in ((TerminalStream, r"\u001b[1m"), (Screen, "\x1b[1m")):
        raw = io.BytesIO()
        stream = kind(raw, encoding="utf-8", write_through=True)
        text = "\x1b[1mbold\n\tA\u202eB \x1b]0;title\x07\u2028"
        assert stream.write(text) == len(text)
        written = raw.getvalue().decode()
        assert written == (colour + "bold\n\t" + r"A\u202eB \u001b]0;title\u0007\u2028")


def test_a_command_writes_hidden_characters_by_number_and_json_stays_json(
    tmp_path: Path,
) -> None:
    code = (
        "from probes.wire.display import guard_terminal\n"
        "guard_terminal(); import json\n"
        "name = 'Town \\u202elive\\x9b\\U000e0041'\n"
        "print(json.dumps({'name': name}, ensure_ascii=False))\n"
        "raise SystemExit(name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False
    )
    assert json.loads(done.stdout)["name"] == "Town \u202elive\x9b\U000e0041"
    assert not HIDING.search(done.stdout.decode())
    assert r"Town \u202elive\u009b" in done.stderr.decode()


@pytest.mark.parametrize("command", ["towpath", "towpath-agent"])
def test_the_commands_guard_the_terminal(command: str, tmp_path: Path) -> None:
    evil = tmp_path / "x\u202ey.toml"
    given = {
        "towpath": ["check", "-c", str(evil)],
        "towpath-agent": ["--config", str(evil), "status"],
    }[command]
    program = str(Path(sys.executable).with_name(command))
    done = subprocess.run([program, *given], capture_output=True, check=False)
    text = (done.stdout + done.stderr).decode()
    assert done.returncode != 0
    assert not HIDING.search(text)
    assert r"\u202e" in text


@pytest.mark.parametrize(
    "text", ["=1", " +1", "-1", "@a", "\t=1", "\n=1", "\uff1d1", "\uff0b1"]
)
def test_what_a_spreadsheet_would_run_is_known(text: str) -> None:
    assert is_formula(text)
    assert not is_formula(f"a{text}")
