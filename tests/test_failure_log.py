"""A failure that lasts is logged once, and so is its end."""

from __future__ import annotations

from structlog.testing import capture_logs

from collectors.failure_log import FailureLog


def test_a_series_of_failures_is_two_lines() -> None:
    failures = FailureLog("writes_fail", "writes_work_again", "warning")
    with capture_logs() as logs:
        failures.recovered()
        for _ in range(3):
            failures.failed(OSError("full"), folder="state")
        assert failures.failing
        for _ in range(3):
            failures.recovered(folder="state")
    assert not failures.failing
    assert logs == [
        {
            "event": "writes_fail",
            "log_level": "warning",
            "error": "OSError('full')",
            "folder": "state",
        },
        {"event": "writes_work_again", "log_level": "info", "folder": "state"},
    ]


def test_what_fails_on_its_own_is_logged_on_its_own() -> None:
    failures = FailureLog("channel_fails", "channel_works_again")
    with capture_logs() as logs:
        failures.failed("refused", key="mail", channel="mail")
        failures.failed("refused", key="teams", channel="teams")
        assert not failures.recovered("pager", channel="pager")
        assert failures.recovered("mail", channel="mail")
        failures.failed("refused", key="mail", channel="mail")
    assert [(line["event"], line["channel"]) for line in logs] == [
        ("channel_fails", "mail"),
        ("channel_fails", "teams"),
        ("channel_works_again", "mail"),
        ("channel_fails", "mail"),
    ]


def test_everything_recovers_at_once_if_no_key_is_given() -> None:
    failures = FailureLog("reader_waits", "reader_goes_on")
    with capture_logs() as logs:
        failures.failed("away", key="away")
        failures.failed("slow", key="slow")
        assert failures.recovered()
    assert [line["event"] for line in logs] == [
        "reader_waits",
        "reader_waits",
        "reader_goes_on",
    ]
