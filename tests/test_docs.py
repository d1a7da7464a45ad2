"""What the documents say is true: examples load, tables match code, the README runs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from documents import (
    DECISIONS,
    NEEDED,
    PAGE_NAMES,
    PAGES,
    ROOT,
    Setting,
    agent_settings,
    blocks,
    council_settings,
    estate_settings,
    reflector_settings,
    text_of,
)
from services import free_port

from alerts.rule_files import load_rules
from alerts.secret import Secret
from collectors.estate import load as load_estate
from collectors.ingest.certificate import make_certificates
from collectors.personal_data import PLACES
from collectors.reflector import ReflectorConfig
from collectors.server_measurements import CATALOGUE
from collectors.snmp import Credentials
from collectors.snmp.profiles.profile_loader import load_files as load_profiles
from collectors.snmp.traps.trap_catalog import load as load_traps
from probes.agent.settings import decode_settings
from probes.diagnosis import data_costs
from probes.wire.policy import Policy, TeamsRelay
from towpath.check import _journal_hours
from towpath.config import TowpathConfig, read, read_part
from towpath.demo.simulated_switches import SimulatedPort, SimulatedSwitch
from towpath.doc_pages import catalogue_page, places_table, rules_table

BIN = Path(sys.executable).parent


# -- settings --------------------------------------------------------------------------


def shown(default: Any) -> str:
    """A default as the table has it."""
    if default is NEEDED:
        return "needed"
    if isinstance(default, msgspec.Raw):
        return bytes(default).decode()
    if default is None or default == Secret():
        return "not set"
    if isinstance(default, Path):
        return f'`"{default.as_posix()}"`'
    if isinstance(default, tuple):
        return f"`{json.dumps(list(default))}`"
    if isinstance(default, float) and default.is_integer():
        return f"`{int(default)}`"
    return f"`{json.dumps(default)}`"


def rows_of(text: str) -> dict[str, str]:
    """First cell -> second cell of every table row whose first cell is one `name`."""
    return {
        row[1]: row[2].strip()
        for row in re.finditer(r"^\| `([\w.]+)` \| ([^|]*) \|", text, re.MULTILINE)
    }


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ("towpath.toml", council_settings),
        ("estate.toml", estate_settings),
        ("reflector.toml", reflector_settings),
        ("agent.toml", agent_settings),
    ],
)
def test_every_setting_is_described_with_its_default(
    section: str, settings: typing.Callable[[], Iterator[Setting]]
) -> None:
    page = text_of("docs/settings.md")
    part = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    assert part, f"docs/settings.md has no section {section}"
    described = rows_of(part[1])
    there = {name: shown(default) for name, default in settings()}
    assert described == there, (
        f"not described: {sorted(there.keys() - described.keys())}; "
        f"described but gone: {sorted(described.keys() - there.keys())}"
    )


def _load_towpath(path: Path) -> None:
    read(path)


def _load_estate(path: Path) -> None:
    load_estate(path)


def _load_snmp(path: Path) -> None:
    path.chmod(0o600)
    assert list(Credentials.read(path, env={}))


def _load_profile(path: Path) -> None:
    load_profiles([path]).check()


def _load_traps(path: Path) -> None:
    load_traps(path.parent)


def _load_reflector(path: Path) -> None:
    read_part(ReflectorConfig, path, {})


def _load_agent(path: Path) -> None:
    decode_settings(path.read_text(), path.name, {})


def _load_rules(path: Path) -> None:
    load_rules(CATALOGUE, path)


LOADERS = {
    "towpath.toml": _load_towpath,
    "estate.toml": _load_estate,
    "snmp.toml": _load_snmp,
    "reflector.toml": _load_reflector,
    "agent.toml": _load_agent,
    "rules.yaml": _load_rules,
    "profile.yaml": _load_profile,
    "traps.yaml": _load_traps,
}
EXAMPLES = [
    (name, language, block)
    for name in PAGE_NAMES
    for language in ("toml", "yaml")
    for block in blocks(text_of(name), language)
]


@pytest.mark.parametrize(
    ("name", "language", "block"),
    EXAMPLES,
    ids=[f"{name}-{n}" for n, (name, _, _) in enumerate(EXAMPLES)],
)
def test_every_example_of_settings_is_taken_by_the_code_that_reads_it(
    name: str, language: str, block: str, tmp_path: Path
) -> None:
    said = re.match(r"# (\S+)", block)
    assert (said[1] if said else None) in LOADERS, (
        f"{name}: a {language} example begins with a comment that names its file, "
        f"one of {', '.join(LOADERS)}; it begins {block.splitlines()[0]!r}"
    )
    path = tmp_path / said[1]
    path.write_text(block)
    LOADERS[said[1]](path)


# -- pages -----------------------------------------------------------------------------


def test_the_page_of_the_catalogue_is_what_the_code_prints() -> None:
    assert text_of("docs/catalogue.md") == catalogue_page(CATALOGUE), "run: make docs"


def test_on_call_staff_find_every_rule_as_it_is() -> None:
    table = rules_table(load_rules(CATALOGUE))
    assert table in text_of("docs/on-call.md"), "run `make docs`"


def test_the_privacy_page_lists_every_place_of_personal_data() -> None:
    assert places_table(PLACES) in text_of("docs/privacy.md"), "run `make docs`"


def test_staff_are_told_the_data_of_a_working_day_as_the_agent_adds_it_up() -> None:
    policy = Policy(teams_relay=TeamsRelay(host="relay"))
    day_bytes = data_costs.total(
        data_costs.day(policy, metered=False, services=5, names=3)
    )
    mb = round(day_bytes * 9 / 24 / 1e6)
    said = f"About {mb} MB of data in a working day of nine hours"
    assert said in text_of("docs/staff.md")


def test_the_hours_that_the_journal_holds_are_those_that_check_prints(
    tmp_path: Path,
) -> None:
    lines = ['[[sites]]\nid = "hall"\nname = "Hall"']
    for n in range(1, 101):
        address = f'site = "hall"\naddress = "10.1.0.{n}"'
        lines.append(f'[[devices]]\nid = "switch-{n}"\n{address}')
    (tmp_path / "estate.toml").write_text("\n".join(lines))
    estate = load_estate(tmp_path / "estate.toml")
    hours = re.search(r"about [\d,]+ hours", _journal_hours(TowpathConfig(), estate))
    assert hours is not None
    assert f"100 switches of 50 ports at a minute: {hours[0]}" in text_of(
        "docs/operator.md"
    )


def _anchors(text: str) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", head.lower().replace("`", "")).replace(" ", "-")
        for head in heads
    }


@pytest.mark.parametrize("path", [*PAGES, *DECISIONS], ids=lambda path: path.stem)
def test_every_link_and_picture_leads_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for alt, target in re.findall(r"(!?\[[^\]]*\])\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), f"{path.name}: {target} is not there"
        if anchor and found.suffix == ".md":
            assert anchor in _anchors(found.read_text()), f"{path.name}: {target}"
        if alt.startswith("!"):
            assert len(alt) > 30, f"{path.name}: {target} needs words for who sees none"
            assert found.stat().st_size < 200_000, f"{target} is large"


def test_every_page_is_linked_from_the_first_one() -> None:
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        reached.add(page)
        for target in re.findall(r"\]\(([^)#\s]+\.md)", page.read_text()):
            found = (page.parent / target).resolve()
            if found.exists() and found not in reached:
                todo.append(found)
    assert {p for p in PAGES if p not in reached} == set()
    assert {p for p in DECISIONS if p not in reached} == set()


@pytest.mark.parametrize("path", [*PAGES, *DECISIONS], ids=lambda path: path.stem)
def test_no_page_names_a_place_of_somebodys_own_machine(path: Path) -> None:
    found = re.findall(
        r"(?<![\w.])(?:/work/|/tmp/|/root/|/home/[a-z]|/Users/|[A-Z]:\\Users)\S*",
        path.read_text(encoding="utf-8"),
    )
    assert found == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_file_a_page_names_is_there(path: Path) -> None:
    rooms = "probes|collectors|alerts|dashboards|towpath|deploy|tests|benchmarks|docs"
    missing = [
        named
        for named in re.findall(rf"`((?:{rooms})/[\w./@*-]+)`", path.read_text())
        if not list(ROOT.glob(named.rstrip("/")))
    ]
    assert missing == []


# -- what the first page says to type --------------------------------------------------


@pytest.fixture(scope="module")
def council(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the README's own examples, and a certificate."""
    folder = tmp_path_factory.mktemp("council")
    tls = make_certificates(folder / "tls")
    for block in blocks(text_of("README.md"), "toml"):
        said = re.match(r"# (\S+)", block)
        assert said is not None
        block = block.replace("/etc/towpath/tls/towpath.crt", str(tls.certificate))
        block = block.replace("/etc/towpath/tls/towpath.key", str(tls.private_key))
        (folder / said[1]).write_text(block)
    return folder


def typed(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs what a reader would type, in `folder`, with this checkout's commands."""
    env = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(folder),
        "TOWPATH_SNMP_DEFAULT_USER": "towpath",
        "TOWPATH_SNMP_DEFAULT_AUTH_PASSWORD": "not a password",
        "TOWPATH_SNMP_DEFAULT_PRIV_PASSWORD": "not a password",
        **more,
    }
    return subprocess.run(
        shlex.split(line),
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def says(readme_line: str) -> str:
    """`readme_line`, which the README must hold word for word."""
    assert readme_line in text_of("README.md"), f"README no longer says {readme_line!r}"
    return readme_line


def test_the_first_settings_pass_the_check_as_the_readme_says(council: Path) -> None:
    done = typed(says("towpath check -c towpath.toml"), council)
    assert done.returncode == 0, done.stderr
    assert "1 sites, 1 devices, 1 lines" in done.stdout


def test_the_first_settings_build_a_whole_installation(council: Path) -> None:
    done = typed(says("towpath run -c towpath.toml --check"), council)
    assert done.returncode == 0, done.stderr
    assert "poll 1 devices every 60 s" in done.stdout


def test_a_wrong_setting_is_said_with_its_line_and_what_was_meant(
    council: Path,
) -> None:
    text = (council / "towpath.toml").read_text()
    (council / "wrong.toml").write_text(text.replace("certificate =", "certificat ="))
    done = typed("towpath check -c wrong.toml", council)
    assert done.returncode == 2
    assert "wrong.toml:" in done.stderr
    assert "did you mean" in done.stderr


def test_a_token_for_laptops_is_made_as_the_readme_says(council: Path) -> None:
    state = council / "state"
    text = (council / "towpath.toml").read_text()
    moved = re.sub(r'^state = ".*"$', f'state = "{state}"', text, flags=re.MULTILINE)
    (council / "moved.toml").write_text(moved)
    line = says("towpath agents token -c towpath.toml --site town-hall --uses 50")
    done = typed(line.replace("towpath.toml", "moved.toml"), council)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"tow-\S+\n", done.stdout)


async def test_one_device_answers_as_the_readme_says(council: Path) -> None:
    ports = [SimulatedPort(n, f"GigabitEthernet1/0/{n}") for n in (1, 2)]
    async with SimulatedSwitch("core-1", ports, community="public") as switch:
        at = f"{switch.address}:{switch.port_number}"
        line = says("towpath poll 10.1.0.2 --community public --json")
        line = line.replace("10.1.0.2", at)
        done = await asyncio.to_thread(typed, line, council)
    assert done.returncode == 0, done.stderr
    assert "GigabitEthernet1/0/2" in done.stdout
    assert isinstance(json.loads(done.stdout), dict)


def test_a_device_that_is_not_there_is_said_and_ends_with_one(council: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    line = f"towpath poll 127.0.0.1:{port} --community public --timeout 0.2 --tries 1"
    done = typed(line, council)
    assert done.returncode == 1


def test_this_machines_own_agent_measures_once_as_the_readme_says(
    council: Path,
) -> None:
    done = typed(says("towpath-agent once --json"), council)
    found = json.loads(done.stdout)
    assert found["results"]
    # Without a policy there is nothing to measure against: that is no fault.
    assert done.returncode in (0, 1), done.stderr


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("towpath-agent what-we-collect", "call_path"),
        ("towpath rules list", "line_down"),
        ("towpath rules check", ""),
        ("towpath dashboards check", "dashboards are valid"),
    ],
)
def test_what_needs_no_settings_ends_well(line: str, holds: str, council: Path) -> None:
    done = typed(line, council)
    assert done.returncode == 0, done.stderr
    assert holds in done.stdout


def test_grafanas_files_are_written_where_they_are_asked_for(council: Path) -> None:
    done = typed("towpath dashboards build --out grafana --grafana 12", council)
    assert done.returncode == 0, done.stderr
    assert (council / "grafana" / "provisioning").is_dir()
