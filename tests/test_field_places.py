"""Nothing is stored that nobody is shown, without a reason."""

from __future__ import annotations

from towpath_command import towpath

from collectors.server_measurements import CATALOGUE
from towpath.commands.field_places import NOT_SHOWN, field_places, reason


def test_every_field_is_shown_or_used_or_has_a_reason_why_not() -> None:
    places = field_places()
    hidden = [
        f"{measurement.name}.{field.name}: {field.meaning}"
        for measurement in CATALOGUE
        for field in measurement.fields
        if not places[measurement.name, field.name]
        and not reason(measurement.name, field.name, measurement.personal)
    ]
    assert hidden == []


def test_a_reason_is_given_only_for_fields_that_are_not_shown() -> None:
    places = field_places()
    assert [field for field in NOT_SHOWN if places[field]] == []


def test_a_command_prints_where_fields_are_shown() -> None:
    done = towpath("dashboards", "fields", "interface")
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if ".in_bps " in line)
    assert "Switch" in line
    assert "Port" in line
    hidden = towpath("dashboards", "fields", "device")
    assert "(`up` and the graph of loss say it)" in hidden.stdout
    wrong = towpath("dashboards", "fields", "interfaces")
    assert wrong.returncode == 2
    assert "interface" in wrong.stderr


def test_what_shows_a_field_is_known() -> None:
    places = field_places()
    assert "Port" in places["interface", "in_bps"]
    assert "report" in places["interface", "in_use_ratio"]
    assert "status page" in places["line", "carrying"]
    assert "Alerts and maintenance" in places["incident", "summary"]
    assert any("rule" in place for place in places["line", "up"])
