"""A name that nothing has can never match: it is an error, with what may have been
meant, in files and on the command line alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from river import towpath
from stores import embedded
from test_check import Folder, folder  # noqa: F401 - a fixture

from alerts.alert_access import list_silences
from alerts.alert_file import AlertFile
from alerts.rule_files import load_rules
from alerts.silence import Silence
from alerts.unknown_names import unknown_in_silence
from collectors.batch import batch_samples
from collectors.estate.estate_model import Estate
from collectors.server_measurements import CATALOGUE
from collectors.store import query_command
from probes.wire.sample import Sample

ESTATE = Estate.model_validate(
    {
        "sites": [
            {"id": "hall", "name": "Town Hall"},
            {"id": "depot", "name": "Depot"},
        ],
        "devices": [{"id": "core-1", "site": "hall", "address": "10.1.0.2"}],
    }
)
RULES = load_rules(CATALOGUE)


@pytest.mark.parametrize(
    ("route", "says"),
    [
        (
            'sites = ["hal"]',
            "routes[1].sites: no site is called 'hal'; did you mean 'ha",
        ),
        ('sites = ["Town Hall"]', "called 'Town Hall'; did you mean 'hall'?"),
        ('rules = ["line_dwn"]', "routes[1].rules: no rule is called 'line_dwn'; did"),
        (
            'rules = ["device_restarted"]',
            "device_restarted is info, but severities is critical, warning: it never",
        ),
        (
            'severities = ["critical"]\nrules = ["port_down"]',
            "port_down is warning, but",
        ),
    ],
)
def test_a_route_that_can_never_match_is_refused(
    folder: Folder,  # noqa: F811
    route: str,
    says: str,
) -> None:
    folder.change('channels = ["on_call"]', f'channels = ["on_call"]\n{route}')
    [found], _ = folder.found()
    assert says in found


def test_a_fallback_is_another_channel_that_is_there(folder: Folder) -> None:  # noqa: F811
    for wrong in ("dsek", "on_call"):
        kind = 'kind = "webhook"'
        folder.change(kind, f'{kind}\nfallback = "{wrong}"')
        [found], _ = folder.found()
        assert f"on_call.fallback: no other channel is called {wrong!r}" in found
        folder.change(f'\nfallback = "{wrong}"', "")


RULE = """rules:
  - id: too_hot
    title: Too hot
    severity: warning
    measurement: sensor
    where: {class: [temperature], role: [switch]}
    subject: [device, class, sensor]
    when:
      - {field: value, is: ">", threshold: 50}
    summary: "{device_name} is hot"
    runbook: Look.
    sites: [hall]
overrides:
  - {rule: line_down, hold: 5m, sites: [hall]}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("sites: [hall]\noverr", "sites: [hal]\noverr", 12, "no site is called 'hal'"),
        ("5m, sites: [hall]", "5m, sites: [hal]", 14, "'hal'; did you mean 'hall'?"),
        ("[temperature]", "[temperatur]", 6, "did you mean 'temperature'?"),
        ("role: [switch]", "role: [swich]", 6, "no role is called 'swich'; did you m"),
        (
            "measurement: sensor\n    where: {class: [temperature], role: [switch]}",
            "measurement: event\n    where: {event: [ups_on_batery]}",
            6,
            "no event is called 'ups_on_batery'; did you mean 'ups_on_battery'?",
        ),
        ("rule: line_down", "rule: line_dwn", 14, "no rule is called 'line_dwn'"),
    ],
)
def test_rules_and_overrides_name_what_there_is(
    folder: Folder,  # noqa: F811
    old: str,
    new: str,
    line: int,
    says: str,
) -> None:
    folder.change("[alerts]", '[alerts]\nrules = "rules.yaml"')
    folder.write("rules.yaml", RULE)
    assert folder.found() == ([], [])
    folder.change(old, new, "rules.yaml")
    wrong, _ = folder.found()
    assert any(
        says in sentence and f"rules.yaml:{line}:" in sentence for sentence in wrong
    ), wrong


def test_towpaths_own_rules_name_what_there_is(folder: Folder) -> None:  # noqa: F811
    done = towpath("rules", "check", "-c", folder.settings)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_route_for_a_rule_that_an_override_turned_off_is_refused(
    folder: Folder,  # noqa: F811
) -> None:
    folder.change("[alerts]", '[alerts]\nrules = "rules.yaml"')
    folder.write("rules.yaml", "overrides:\n  - {rule: port_down, disable: true}\n")
    route = 'channels = ["on_call"]\nrules = ["port_down"]'
    folder.change('channels = ["on_call"]', route)
    [found], _ = folder.found()
    assert found.endswith("port_down is disabled by an override")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ("--device", "core-99"),
            "no device is called 'core-99'; did you mean 'core-1'",
        ),
        (
            ("--site", "Town Hall"),
            "no site is called 'Town Hall'; did you mean 'hall'?",
        ),
        (("--rule", "line_dwn"), "no rule is called 'line_dwn'; did you mean 'line_do"),
    ],
)
def test_a_silence_of_what_is_not_there_is_refused_on_the_command_line(
    folder: Folder,  # noqa: F811
    options: tuple[str, str],
    says: str,
) -> None:
    (folder.path / "state").mkdir()
    command = ("alerts", "silence", "2h", "--why", "x", "-c", folder.settings)
    done = towpath(*command, *options)
    assert done.returncode == 2
    assert says in done.stdout + done.stderr
    assert list_silences(folder.path / "state" / "alerts.sqlite", 0) == []


def test_a_silence_is_made_at_night_though_the_estate_cannot_be_read(
    folder: Folder,  # noqa: F811
) -> None:
    (folder.path / "state").mkdir()
    folder.write("estate.toml", "[[sites]")
    done = towpath(
        *("alerts", "silence", "2h", "--why", "x", "-c", folder.settings),
        *("--device", "core-1"),
    )
    assert done.returncode == 0
    assert "names are not checked" in done.stderr
    [made] = list_silences(folder.path / "state" / "alerts.sqlite", 0)
    assert made.device == "core-1"


def test_a_device_is_not_silenced_at_a_site_that_it_does_not_belong_to() -> None:
    wrong = Silence(0, 0, 1, site="depot", device="core-1")
    assert list(unknown_in_silence(wrong, RULES, ESTATE)) == [
        "core-1 is at hall, not at depot: name the device alone"
    ]
    right = Silence(0, 0, 1, site="hall", device="core-1", rule="device_unreachable")
    assert list(unknown_in_silence(right, RULES, ESTATE)) == []


def test_an_acknowledgement_of_what_is_not_open_is_refused(
    folder: Folder,  # noqa: F811
) -> None:
    (folder.path / "state").mkdir()
    AlertFile(folder.path / "state" / "alerts.sqlite").close()
    done = towpath("alerts", "ack", "line_down/line=x", "-c", folder.settings)
    assert done.returncode == 2
    assert "no open alert is called" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("device=core-99", ["no device is called 'core-99'; did you mean 'core-1'?"]),
        ("device!=core-99", ["no device is called 'core-99'; did you mean 'core-1'?"]),
        ("site=hal", ["no site is called 'hal'; did you mean 'hall'?"]),
        ("role=swich", ["no role is called 'swich'; did you mean 'switch'?"]),
        ("device=core-1", []),
        # No longer in the estate, and still asked for.
        ("device=gone-1", []),
    ],
)
async def test_a_filter_of_a_query_names_what_there_is_or_was(
    tmp_path: Path, where: str, says: list[str]
) -> None:
    at_ms = 1_795_000_000_000
    async with embedded(tmp_path, catalogue=CATALOGUE) as store:
        for device in ("core-1", "gone-1"):
            tags = {"device": device, "site": "hall", "role": "switch"}
            sample = Sample("device", tags, {"up": 1}, at_ms)
            await store.write(batch_samples([sample], "poll", at_ms))
        asked = query_command.query_from_options(
            query_command.QueryOptions("device", ["up"], [where]),
            CATALOGUE,
            at_ms + 1_000,
        )
        rows = await store.query(asked)
        assert await query_command.unknown_names(asked, rows, ESTATE, store) == says
