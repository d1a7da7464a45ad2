"""`towpath check` on what people get wrong: one clear sentence each, with the file and
line, what was expected, what was meant; exit code 2, and never a secret repeated."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import towpath
from stop_keys import COUNCIL, line

from collectors.config_errors import line_of
from collectors.ingest.stop_order_file import write_lines
from towpath.check import check_config
from towpath.config import ConfigError, read

GOOD = """council = "Wrenford"
state = "state"
estate = "estate.toml"

[snmp]
credentials_file = "snmp.toml"

[alerts]
heartbeat_url = "https://heartbeat.example/towpath"

[alerts.channels.on_call]
kind = "webhook"
url = "https://desk.example.gov.uk/hooks"

[alerts.channels.desk]
kind = "email"
host = "mail.example.gov.uk"
sender = "towpath@example.gov.uk"
to = ["on-call@example.gov.uk"]

[[alerts.routes]]
channels = ["on_call"]

[ingest.https]
host = "127.0.0.1"
plaintext = true

[web]
port = 8080
"""
ESTATE = """[[sites]]
id = "hall"
name = "Town Hall"

[[devices]]
id = "core-1"
site = "hall"
address = "10.1.0.2"

[[lines]]
id = "hall-wan"
site = "hall"
supplier = "Example Telecom"
down_mbps = 1000
up_mbps = 1000
device = "core-1"
port = "Gi1/0/48"
"""
SNMP = """[default]
user = "towpath"
auth_password = "not a password"
priv_password = "not a password"
"""


class Folder:
    """A council's settings in a folder, right until a test makes them wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("towpath.toml", GOOD)
        self.write("estate.toml", ESTATE)
        self.write("snmp.toml", SNMP)

    @property
    def settings(self) -> Path:
        return self.path / "towpath.toml"

    def write(self, name: str, text: str | bytes, mode: int = 0o600) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path

    def change(self, old: str, new: str, name: str = "towpath.toml") -> None:
        text = (self.path / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new, 1))

    def found(self) -> tuple[list[str], list[str]]:
        """(what is wrong, what will mislead), as `towpath check` finds it."""
        try:
            wrong, misleading, _ = check_config(read(self.settings))
        except ConfigError as error:
            return error.findings, []
        return wrong, misleading


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_what_is_right_is_found_right(folder: Folder) -> None:
    assert folder.found() == ([], [])


# (the right text, the wrong text in its place, the message): `towpath.toml`
SETTINGS = [
    ("port = 8080", "prot = 8080", "towpath.toml:29: web.prot unknown key; did you"),
    ("[web]", "[wbe]", "towpath.toml:28: wbe unknown key; did you mean 'web'?"),
    ("port = 8080", 'port = "8o80"', ":29: web.port is '8o80', expected a whole"),
    ("port = 8080", "port = 80800", ":29: web.port is 80800, expected at most 65535"),
    ("[snmp]", "[snmp]\nperiod_s = 0", ":6: snmp.period_s is 0, expected more than 0"),
    ("[snmp]", "[snmp]\ntimeout_s = inf", "timeout_s is inf, expected a finite number"),
    ("[snmp]", "[snmp]\nperiod_s = nan", "period_s is nan, expected a finite number"),
    ('council = "Wrenford"', "metrics = 80", "metrics is 80, expected a table"),
    ('council = "Wrenford"', "council = Wrenford", "(at line 1, column 11)"),
    ("[web]", "[web", "not valid TOML: Expected ']' at the end of a table"),
    ('"state"', "7", "towpath.toml:2: state is 7, expected a path in quotes"),
    (
        'estate = "estate.toml"',
        '[estate]\nfile = "estate.toml"',
        "towpath.toml:3: estate cannot be used: expected a path in quotes",
    ),
    ('"webhook"', '"webhok"', "on_call cannot be used: a channel needs a kind that"),
    ("\nurl =", "\nulr =", "alerts.channels.on_call.url is missing"),
    ("\nurl =", "\nulr =", "on_call.ulr unknown key; did you mean 'url'?"),
    ('\nurl = "https://', '\nurl = "desk:', "an address that begins with https:// or"),
    ('host = "mail', 'hots = "mail', "desk.hots unknown key; did you mean 'host'?"),
    ('kind = "email"', 'kind = "email"\nport = 0', ":17: alerts.channels.desk.port is"),
    ('["on_call"]', '["oncall"]', "channel is called 'oncall'; did you mean 'on_call'"),
    ("[web]", '[store]\nkind = "influx"', "did you mean 'influxdb'?"),
    (
        "[web]",
        '[store]\nkind = "influxdb"\nurl = "influx:8086"\n[web]',
        "expected http://host",
    ),
    (
        "[web]",
        '[store]\nkind = "influxdb"\ntoken_env = "NO_SUCH"\n[web]',
        "store.token_env: the environment has no NO_SUCH",
    ),
    ("plaintext = true", "", "expected certificate and private_key"),
    (
        "plaintext = true",
        'certificate = "a.pem"\nprivate_key = "a.key"',
        "a.pem: cannot be read: No such file",
    ),
    ("port = 8080", "port = 9468", "metrics.port is 9468, which is also web.port"),
    ("[web]", '[journal]\nmax_bytes = "2 GiB"\n[web]', "'2 GiB', expected a whole num"),
    ("[web]", "[ingest.policy]\ncadence_s = { vnp = 60 }\n[web]", "did you mean 'vpn'"),
    ("[alerts]", '[alerts]\nrules = "none.yaml"', "none.yaml: cannot be read: No such"),
    ("[alerts]", '[alerts]\ntimezone = "Europe/Londn"', "no time zone is called"),
    ('"estate.toml"', '"estat.toml"', "estat.toml: no such file"),
    ('"snmp.toml"', '"snpm.toml"', "snpm.toml"),
    ('state = "state"', 'state = "estate.toml"', "estate.toml is not a folder"),
    (
        "[ingest.https]",
        '[ingest]\nproviders = "p.csv"\n[ingest.https]',
        "p.csv: cannot",
    ),
]


@pytest.mark.parametrize(("old", "new", "says"), SETTINGS)
def test_a_wrong_setting_is_one_sentence(
    folder: Folder, old: str, new: str, says: str
) -> None:
    folder.change(old, new)
    wrong, _ = folder.found()
    assert any(says in sentence for sentence in wrong), wrong
    # A misspelt key is also a missing one; nothing else comes along.
    assert len(wrong) <= 2, wrong
    assert not any("\n" in sentence or "Errno" in sentence for sentence in wrong), wrong


DEVICES = "id,site,address\ncore-1,hall,10.1.0.2\ncore-2,hall,10.1.o.3\n"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("estate.toml", ESTATE.replace("10.1.0.2", "10.1.0.256"), "estate.toml:5: dev"),
        (
            "estate.toml",
            ESTATE.replace("10.1.0.2", "core.local"),
            "expected an IP addr",
        ),
        ("estate.toml", ESTATE.replace("address", "adress"), "did you mean 'address'"),
        ("estate.toml", ESTATE.replace('site = "hall"', 'site = "hal"'), "no site has"),
        ("estate.toml", ESTATE + "[[lines]\n", "estate.toml: is not valid TOML"),
        (
            "estate.toml",
            ESTATE.encode() + b"# caf\xe9\n",
            "estate.toml:18: is not UTF-8",
        ),
        ("estate.toml", ESTATE * 2, "sites[2].id 'hall' is used twice"),
        ("snmp.toml", '[default]\nusr = "towpath"\n', "usr"),
        ("snmp.toml", "[default\n", "snmp.toml"),
        ("snmp.toml", '[other]\ncommunity = "x"\n', "no SNMP credential 'default'"),
        (
            "towpath.toml",
            GOOD.encode() + b"# caf\xe9\n",
            "towpath.toml:30: is not UTF-8",
        ),
    ],
)
def test_a_mistake_in_a_file_is_reported_with_its_line(
    folder: Folder, name: str, text: str | bytes, says: str
) -> None:
    folder.write(name, text)
    wrong, _ = folder.found()
    assert any(says in sentence for sentence in wrong), wrong
    assert not any("\n" in sentence for sentence in wrong), wrong


def test_an_inventory_row_with_a_bad_address_is_reported_by_its_row(
    folder: Folder,
) -> None:
    folder.change('"estate.toml"', '"estate"')
    folder.write("estate/sites.csv", "id,name\nhall,Town Hall\n")
    folder.write("estate/devices.csv", DEVICES)
    wrong, _ = folder.found()
    (says,) = wrong
    assert says.endswith(
        "devices.csv:3: devices[2].address is '10.1.o.3', expected an IP address such "
        "as 10.1.2.3"
    )


def test_credentials_that_others_can_read_are_refused(folder: Folder) -> None:
    folder.write("snmp.toml", SNMP, mode=0o644)
    (says,) = folder.found()[0]
    assert "can be read by others (mode 0644): chmod 600" in says


def test_mistakes_in_rules_are_reported_with_their_lines(folder: Folder) -> None:
    folder.change("[alerts]", '[alerts]\nrules = "rules.yaml"')
    folder.write(
        "rules.yaml", "overrides:\n  - {rule: line_ful_down, threshold: 0.9}\n"
    )
    (says,) = folder.found()[0]
    assert "rules.yaml:2:" in says
    assert "did you mean 'line_full_down'" in says


def test_a_file_that_is_no_certificate_is_reported(folder: Folder) -> None:
    folder.change("plaintext = true", 'certificate = "a.pem"\nprivate_key = "a.key"')
    folder.write("a.pem", "not a certificate")
    folder.write("a.key", "not a key")
    (says,) = folder.found()[0]
    assert "expected two PEM files that belong together" in says


def test_a_mistake_in_the_table_of_providers_is_reported_by_its_line(
    folder: Folder,
) -> None:
    folder.change("[ingest.https]", '[ingest]\nproviders = "p.csv"\n[ingest.https]')
    folder.write("p.csv", "prefix,provider\n192.0.2.0/99,Example\n")
    (says,) = folder.found()[0]
    assert "p.csv:2:" in says
    assert "such as 192.0.2.0/24,Example Telecom" in says


@pytest.mark.parametrize("key", ["secret", "password", "token", "community"])
def test_a_secret_written_into_the_settings_is_refused_and_not_repeated(
    folder: Folder, key: str
) -> None:
    folder.change('kind = "webhook"', f'kind = "webhook"\n{key} = "hunter2"')
    folder.change('kind = "email"', 'kind = "email"\npassword = "hunter2"')
    folder.change("[web]", '[store]\ntoken = "hunter2"\n[web]')
    wrong, _ = folder.found()
    assert len(wrong) == 3
    assert "never the secret itself" in " ".join(wrong)
    assert "hunter2" not in " ".join(wrong)


def test_a_table_is_not_repeated_with_the_secret_in_it(folder: Folder) -> None:
    folder.change('kind = "webhook"', 'kind = "wbhook"\nsecret = "hunter2"')
    (says,) = folder.found()[0]
    assert "hunter2" not in says


def test_a_secret_that_is_not_there_is_warned_of(folder: Folder) -> None:
    """It may come later, and the rest must watch meanwhile: no reason not to start."""
    folder.change('kind = "webhook"', 'kind = "webhook"\nsecret = { env = "NO_SUCH" }')
    wrong, misleading = folder.found()
    assert wrong == []
    (says,) = misleading
    assert says.startswith("alerts.channels.on_call.secret: the environment has no NO_")


def test_the_command_prints_the_problem_and_exits_with_2(folder: Folder) -> None:
    folder.change("port = 8080", "prot = 8080")
    for command in (["check"], ["run", "--check"], ["run"]):
        done = towpath(*command, "-c", folder.settings)
        assert done.returncode == 2
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.endswith(
            "towpath.toml:29: web.prot unknown key; did you mean 'port'?"
        )


def test_a_file_that_is_not_there_or_may_not_be_read_is_one_sentence(
    folder: Folder,
) -> None:
    for path in (folder.path / "none.toml", folder.path):
        done = towpath("check", "-c", path)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert f"{path}: cannot be read: " in line


def test_nothing_is_written_by_a_check(folder: Folder) -> None:
    before = sorted(os.walk(folder.path))
    assert towpath("check", "-c", folder.settings).returncode == 0
    assert sorted(os.walk(folder.path)) == before


@given(st.text(max_size=60), st.integers(0, 200))
def test_any_text_among_the_settings_gives_settings_or_sentences(
    text: str, at: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "towpath.toml"
        file.write_text(GOOD[:at] + text + GOOD[at:], encoding="utf-8", newline="")
        said = [""]
        try:
            read(file)
        except ConfigError as error:
            said = error.findings
        assert said
        assert not any("\n" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        (("a",), 1),
        (("b", "c"), 3),
        (("b", "d", "e"), 5),
        (("b", "d", "none"), 4),
        (("f", 1, "g"), 9),
        (("f", 1, "none"), 8),
        (("f", 0, "h", "i"), None),
        (("f", 1, "h", "i"), 11),
        (("none",), None),
    ],
)
def test_a_finding_leads_to_its_line(
    parts: tuple[str | int, ...], line: int | None
) -> None:
    text = "a = 1\n[b]\nc = 2\n[b.d]\ne = 1\n[[f]]\ng = 1\n[[f]]\ng = 2\n[f.h]\ni = 3\n"
    line_number = line_of(text, parts)
    assert line_number == (line if line is not None else line_number)
    if parts == ("f", 0, "h", "i"):
        assert line_number == 6


def test_a_reflector_without_its_secret_is_reported(folder: Folder) -> None:
    estate = folder.path / "estate.toml"
    text = estate.read_text()
    extra = '\n[[reflectors]]\nid = "hq"\nhost = "hq.example"\n'
    estate.write_text(text + extra + "authenticated = true\n")
    wrong, _, _ = check_config(read(folder.path / "towpath.toml"))
    assert any("hq" in said and "reflector_secret_file" in said for said in wrong)
    estate.write_text(text + extra + 'ndt7_url = "https://hq.example"\n')
    wrong, misleading, _ = check_config(read(folder.path / "towpath.toml"))
    assert not any("hq" in said for said in wrong)
    assert any("hq" in said and "speed tests" in said for said in misleading)


def test_orders_to_stop_of_another_key_are_a_warning(folder: Folder) -> None:
    (folder.path / "state").mkdir()
    write_lines(folder.path / "state" / "stop-orders", [line(), line()[:150]])
    settings = f'\n[ingest.policy]\nstop_key = "{COUNCIL.public}"\n'
    expected = '\n[web]\nport = 8080\nfleet_expected = "devices.csv"\n'
    folder.settings.write_text(
        GOOD.replace("\n[web]\nport = 8080\n", expected) + settings
    )
    _, misleading, _ = check_config(read(folder.settings))
    assert any("that do nothing: 1," in said for said in misleading)
    assert any("there is no file" in said for said in misleading)
