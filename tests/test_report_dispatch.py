"""Reports by e-mail: when they are due, and that each recipient gets each report once,
against a real mail server."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.controller import Controller
from hypothesis import given
from hypothesis import strategies as st
from mail_server import (
    Post,
    mail_config,
    plain_server,  # noqa: F401 - a fixture
    post,  # noqa: F401 - a fixture
)
from warm_command import run_to_end

from alerts.notify.email import Email
from dashboards.report import ReportFiles, ReportPeriod
from dashboards.report.report_dispatch import ReportDispatch
from dashboards.report.report_due import last_due, next_due
from dashboards.report.report_mail import MOST_ATTACHED_BYTES, compose_report_mail
from dashboards.report_config import ReportSchedule
from towpath.config import ConfigError, read
from towpath.report_process import ReportNotMade
from towpath.scheduled_reports import scheduled_reports

LONDON = ZoneInfo("Europe/London")
HEAD, DEPUTY = "head@council.example", "deputy@council.example"


def _ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=LONDON).timestamp() * 1000)  # type: ignore[arg-type]


def _schedule(**more: Any) -> ReportSchedule:
    return ReportSchedule(**{"channel": "mail", "to": (HEAD, DEPUTY), "day": 2, **more})


class _Reports:
    """Makes reports: a file and a summary. `made` has the periods."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.made = folder, list[str]()
        self.fails = ""

    async def __call__(self, period: ReportPeriod) -> ReportFiles:
        if self.fails:
            raise OSError(self.fails)
        self.made.append(str(period))
        path = self.folder / f"site-{period}.html"
        path.write_text("<p>The report")
        return ReportFiles((path,), "", f"Report {period.name}", "* In short.\n")


class _Rig:
    def __init__(self, folder: Path, port: int, begin_ms: int) -> None:
        self.now_ms = begin_ms
        self.reports = _Reports(folder)
        self.folder, self.port = folder, port
        self.restart()

    def restart(self) -> None:
        self.dispatch = ReportDispatch(
            _schedule(),
            LONDON,
            Email(mail_config(self.port)),
            self.reports,
            self.folder / "sent.json",
            "https://towpath.example",
            lambda: self.now_ms,
        )
        self.dispatch.load()

    async def at(self, *parts: int) -> bool:
        self.now_ms = _ms(*parts)
        return await self.dispatch.step()


@pytest.fixture
def rig(
    tmp_path: Path,
    plain_server: Controller,  # noqa: F811
) -> _Rig:
    return _Rig(tmp_path, plain_server.port, _ms(2026, 10, 20))


@pytest.mark.parametrize(
    ("report", "after", "due", "period"),
    [
        ("month", (2026, 10, 2, 6, 59), (2026, 10, 2, 7), "2026-09"),
        ("month", (2026, 10, 2, 7), (2026, 11, 2, 7), "2026-10"),
        ("month", (2026, 12, 31), (2027, 1, 2, 7), "2026-12"),
        ("quarter", (2026, 10, 3), (2027, 1, 2, 7), "2026-10-to-2026-12"),
        ("year", (2026, 10, 3), (2027, 1, 2, 7), "2026-01-to-2026-12"),
        ("financial-year", (2026, 10, 3), (2027, 4, 2, 7), "2026-04-to-2027-03"),
    ],
)
def test_a_report_is_due_on_its_day_at_local_time_about_the_time_before(
    report: str, after: tuple[int, ...], due: tuple[int, ...], period: str
) -> None:
    found = next_due(_schedule(report=report), LONDON, _ms(*after))
    assert found.due_ms == _ms(*due)
    assert str(found.period) == period


@given(
    st.integers(_ms(2020, 1, 1), _ms(2040, 1, 1)),
    st.integers(1, 28),
    st.sampled_from(["month", "quarter", "year", "financial-year"]),
    st.sampled_from(["Europe/London", "Pacific/Auckland", "America/New_York"]),
    st.sampled_from(["00:00", "01:30", "23:59"]),
)
def test_no_report_is_due_twice_or_left_out(
    now_ms: int, day: int, report: str, zone: str, at: str
) -> None:
    schedule = _schedule(day=day, report=report, at=at)
    following = next_due(schedule, ZoneInfo(zone), now_ms)
    assert following.due_ms > now_ms
    before = last_due(schedule, ZoneInfo(zone), now_ms)
    assert before.due_ms <= now_ms
    assert before.period.end == following.period.first
    assert next_due(schedule, ZoneInfo(zone), before.due_ms) == following


async def test_a_report_is_sent_when_it_is_due_with_its_summary_as_text(
    rig: _Rig,
    post: Post,  # noqa: F811
) -> None:
    assert not await rig.at(2026, 11, 2, 6, 59)
    assert await rig.at(2026, 11, 2, 7, 0)
    [mail] = post.mails
    assert mail["Subject"] == "Report October 2026"
    assert mail["To"] == f"{HEAD}, {DEPUTY}"
    assert mail["Auto-Submitted"] == "auto-generated"
    text = mail.get_body(("plain",))
    assert text is not None
    assert "* In short." in text.get_content()
    assert "https://towpath.example/reports" in text.get_content()
    [attached] = mail.iter_attachments()
    assert attached.get_filename() == "site-2026-10.html"


async def test_a_restart_neither_sends_it_again_nor_forgets_the_next(
    rig: _Rig,
    post: Post,  # noqa: F811
) -> None:
    await rig.at(2026, 11, 2, 8)
    rig.restart()
    assert not await rig.at(2026, 11, 2, 9)
    assert not await rig.at(2026, 12, 1)
    rig.restart()
    assert await rig.at(2026, 12, 3)
    assert [mail["Subject"] for mail in post.mails] == [
        "Report October 2026",
        "Report November 2026",
    ]


async def test_nothing_that_was_due_before_the_first_start_is_sent(
    rig: _Rig,
    post: Post,  # noqa: F811
) -> None:
    assert not await rig.at(2026, 10, 30)
    assert post.mails == []


async def test_reports_that_were_due_while_nothing_ran_are_made_up_in_order(
    rig: _Rig,
    post: Post,  # noqa: F811
) -> None:
    rig.restart()
    while await rig.at(2027, 1, 20):
        pass
    assert rig.reports.made == ["2026-10", "2026-11", "2026-12"]
    assert len(post.mails) == 3


async def test_a_mail_server_that_fails_is_tried_again_and_told_until_it_works(
    rig: _Rig,
    post: Post,  # noqa: F811
) -> None:
    post.data = "451 busy"
    assert await rig.at(2026, 11, 2, 7)
    assert "451 busy" in rig.dispatch.problem()
    rig.restart()
    assert "451 busy" in rig.dispatch.problem()
    assert not await rig.at(2026, 11, 2, 7)
    post.data = "250 OK"
    assert await rig.at(2026, 11, 2, 7, 1)
    assert len(post.mails) == 1
    assert rig.dispatch.problem() == ""


async def test_a_mail_server_that_takes_no_file_as_large_gets_the_summary(
    rig: _Rig,
    post: Post,  # noqa: F811
) -> None:
    accept = post.handle_DATA

    async def refuse_files(server: Any, session: Any, envelope: Any) -> str:
        if b"Content-Disposition: attachment" in envelope.content:
            return "552 message size exceeds the limit"
        return await accept(server, session, envelope)

    post.handle_DATA = refuse_files  # type: ignore[method-assign]
    assert await rig.at(2026, 11, 2, 7)
    assert rig.dispatch.problem() == ""
    [mail] = post.mails
    text = mail.get_content()
    assert "In short." in text
    assert "Too large to attach: site-2026-10.html" in text


async def test_who_has_it_does_not_get_it_again_while_another_is_refused(
    rig: _Rig,
    post: Post,  # noqa: F811
) -> None:
    accept = post.handle_RCPT

    async def refuse_deputy(
        server: Any, session: Any, envelope: Any, to: str, options: Any
    ) -> str:
        if to == DEPUTY:
            return "550 no such mailbox"
        return await accept(server, session, envelope, to, options)

    post.handle_RCPT = refuse_deputy  # type: ignore[method-assign]
    await rig.at(2026, 11, 2, 7)
    assert f"{DEPUTY}: 550 no such mailbox" in rig.dispatch.problem()
    assert len(post.mails) == 1
    post.handle_RCPT = accept  # type: ignore[method-assign]
    rig.restart()
    assert await rig.at(2026, 11, 2, 14)
    assert rig.dispatch.problem() == ""
    first, second = post.mails
    assert first["Message-ID"] == second["Message-ID"]


async def test_after_three_days_it_is_given_up_and_said_until_the_next_is_sent(
    rig: _Rig,
    post: Post,  # noqa: F811
) -> None:
    rig.reports.fails = "the disk is gone"
    await rig.at(2026, 11, 2, 7)
    await rig.at(2026, 11, 5, 8)
    assert "did not reach all its addresses: the disk is gone" in rig.dispatch.problem()
    rig.reports.fails = ""
    assert not await rig.at(2026, 11, 6)
    assert await rig.at(2026, 12, 2, 7)
    assert rig.dispatch.problem() == ""
    assert len(post.mails) == 1


def test_a_state_that_cannot_be_read_stops_the_start_with_a_remedy(
    tmp_path: Path,
) -> None:
    (tmp_path / "sent.json").write_text("{")
    with pytest.raises(ValueError, match="delete it"):
        _Rig(tmp_path, 25, 0)


def test_what_is_too_large_to_attach_is_named(tmp_path: Path) -> None:
    small, large = tmp_path / "a.html", tmp_path / "a.pdf"
    small.write_text("x")
    with large.open("wb") as file:
        file.truncate(MOST_ATTACHED_BYTES)
    made = ReportFiles((large, small), "A note.", "T\u202e", "S\n")
    mail = compose_report_mail(made, "towpath@council.example", (HEAD,), 0)
    assert [part.get_filename() for part in mail.iter_attachments()] == ["a.html"]
    text = mail.get_body(("plain",))
    assert text is not None
    assert "Too large to attach: a.pdf" in text.get_content()
    assert "A note." in text.get_content()
    assert "\u202e" not in mail["Subject"]


def _settings(folder: Path, port: int, channel: str = "mail") -> Path:
    (folder / "estate.toml").write_text('[[sites]]\nid = "hall"\nname = "Hall"\n')
    path = folder / "towpath.toml"
    path.write_text(
        f"""council = "Borough of Example"
state = "{folder}/state"
estate = "{folder}/estate.toml"
[alerts.channels.mail]
kind = "email"
host = "localhost"
port = {port}
security = "none"
sender = "towpath@council.example"
to = ["duty@council.example"]
[report.schedule]
channel = "{channel}"
to = ["{HEAD}"]
formats = ["html", "xlsx"]
"""
    )
    return path


def test_a_report_is_sent_by_hand_of_a_month_without_data_too(
    tmp_path: Path,
    plain_server: Controller,  # noqa: F811
    post: Post,  # noqa: F811
) -> None:
    settings = _settings(tmp_path, plain_server.port)
    words = ["report", "send", "-c", str(settings), "--month", "2026-01"]
    done = run_to_end(words, os.environ, 120)
    assert done.stderr == ""
    title = "Borough of Example: network report, January 2026"
    assert done.stdout == f"sent to {HEAD}: {title}\n"
    [mail] = post.mails
    assert mail["Subject"] == title
    names = [part.get_filename() for part in mail.iter_attachments()]
    assert names == ["site-2026-01.xlsx", "site-2026-01.html"]


async def test_a_scheduled_report_is_made_in_a_process_of_its_own(
    tmp_path: Path,
) -> None:
    config = read(_settings(tmp_path, 25))
    [(name, dispatch)] = scheduled_reports(config, lambda: _ms(2026, 2, 1, 8))
    assert name == "report of each month by e-mail to 1 address"
    assert config.report.schedule is not None
    period = next_due(config.report.schedule, LONDON, _ms(2026, 1, 10)).period
    made = await dispatch.make(period)
    assert [path.suffix for path in made.files] == [".html", ".xlsx"]
    assert "January 2026" in made.summary
    later = next_due(config.report.schedule, LONDON, _ms(2200, 1, 10)).period
    with pytest.raises(ReportNotMade, match="has not begun"):
        await dispatch.make(later)


def test_a_channel_that_is_no_email_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'post' is no channel of kind email"):
        read(_settings(tmp_path, 25, channel="post"))
