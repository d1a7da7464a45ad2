"""What the documents say is true: commands run, settings load, tables match code."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from pydantic import BaseModel
from services import free_port

from alerts.rules import load as load_rules
from alerts.secret import Secret
from alerts.words import IN_GENERAL
from collectors.estate import load as load_estate
from collectors.estate.model import Estate
from collectors.ingest.certificate import make_certificates
from collectors.measurements import CATALOGUE
from collectors.personal_data import PLACES
from collectors.reflector import ReflectorConfig
from collectors.snmp import Credentials
from collectors.snmp.profiles.load import load_files as load_profiles
from collectors.snmp.traps.mapping import load as load_traps
from dashboards.grafana.boards import BOARDS
from probes import cli as agent_cli
from probes import costs
from probes.policy import Policy, TeamsRelay
from probes.settings import Settings as AgentSettings
from probes.settings import decode_settings
from towpath import cli
from towpath.check import _journal_hours
from towpath.config import _UNDER_STATE, TowpathConfig, read, read_part
from towpath.demo.switches import SimulatedPort, SimulatedSwitch
from towpath.pages import catalogue_page, places_table, rules_table

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md"]
    + [p for p in DOCS.rglob("*.md") if "decisions" not in p.parts]
)
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
BIN = Path(sys.executable).parent
_NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]

Setting = tuple[str, Any]
NEEDED = object()


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of that language, without their common indentation."""
    found = []
    for fence in re.finditer(
        rf"^( *)```{language}\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL
    ):
        indent = fence[1]
        found.append(re.sub(rf"^{indent}", "", fence[2], flags=re.MULTILINE))
    return found


# -- settings --------------------------------------------------------------------------


def _models(annotation: Any) -> list[type]:
    if isinstance(annotation, type) and issubclass(
        annotation, (BaseModel, msgspec.Struct)
    ):
        return [annotation]
    return [
        model
        for inner in typing.get_args(annotation)
        if inner is not types.NoneType
        for model in _models(inner)
    ]


def settings_of(model: type, prefix: str = "") -> Iterator[Setting]:
    """(dotted name, default) of everything that can be set, in order, each once."""
    if issubclass(model, BaseModel):
        fields = [
            (name, each.annotation, NEEDED if each.is_required() else each.default)
            for name, each in model.model_fields.items()
        ]
    else:
        fields = [
            (each.name, each.type, NEEDED if each.required else each.default)
            for each in msgspec.structs.fields(model)
        ]
    seen: set[str] = set()
    for name, annotation, default in fields:
        inner = [each for each in _models(annotation) if each is not Secret]
        if not inner:
            yield prefix + name, default
            continue
        named = "NAME." if typing.get_origin(annotation) is dict else ""
        for each in inner:
            for setting in settings_of(each, f"{prefix}{name}.{named}"):
                if setting[0] not in seen:
                    seen.add(setting[0])
                    yield setting


def council_settings() -> Iterator[Setting]:
    under = {
        ".".join(where): f"`<state>/{name}`" for where, name in _UNDER_STATE.items()
    }
    for name, default in settings_of(TowpathConfig):
        yield name, msgspec.Raw(under[name].encode()) if name in under else default


def estate_settings() -> Iterator[Setting]:
    return settings_of(Estate)


def reflector_settings() -> Iterator[Setting]:
    return settings_of(ReflectorConfig)


def agent_settings() -> Iterator[Setting]:
    return settings_of(AgentSettings)


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


NAMES = re.compile(r"[a-z]\w*_\w+")
CODE_NAMES = {
    name
    for folder in ("probes", "collectors", "alerts", "dashboards", "towpath", "deploy")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".yaml", ".conf", ".html"}
    for name in NAMES.findall(path.read_text(encoding="utf-8"))
} | {
    named.name
    for measurement in CATALOGUE
    for named in (*measurement.tags, *measurement.fields)
}
BOARD_TITLES = {board.title for board in BOARDS}


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
    for name in _NAMES
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


# -- commands --------------------------------------------------------------------------


def _typer_leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for word, inner in sorted(command.commands.items()):
            yield from _typer_leaves(inner, f"{name} {word}")
    else:
        yield name, command


def _typer_commands(command: Any, name: str) -> Iterator[tuple[str, set[str]]]:
    for leaf, inner in _typer_leaves(command, name):
        options = {opt for p in inner.params for opt in (*p.opts, *p.secondary_opts)}
        yield leaf, options | {"--help"}


def _agent_commands() -> Iterator[tuple[str, set[str]]]:
    parser = agent_cli._parser()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield f"towpath-agent {name}", set(command._option_string_actions)


COMMANDS = {
    **dict(_typer_commands(typer.main.get_command(cli.app), "towpath")),
    **dict(_agent_commands()),
}
GROUPS = {command.rsplit(" ", 1)[0] for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_documents(command: str) -> None:
    pattern = rf"\b{re.escape(command)}\b(?!-)"
    assert any(re.search(pattern, text_of(name)) for name in _NAMES), (
        f"no document says what `{command}` is for"
    )


def _command_lines(text: str) -> Iterator[str]:
    """What a reader would type: lines of blocks, and inline code."""
    lines = re.sub(r"\\\n\s*", " ", text)
    for line in lines.splitlines():
        typed = line.strip().removeprefix("$ ")
        typed = re.sub(r"^(sudo (-u \w+ )?)?(\S+/bin/)", "", typed)
        begins = re.match(r"towpath(-agent)? [a-z]+(?! >)", typed)
        if begins and line.startswith((" ", "to")):
            yield typed
    for code in re.findall(r"`((?:[^`\s]*/)?towpath(?:-agent)? [a-z][^`]+)`", text):
        yield re.sub(r"^\S*/", "", code)


def _texts_with_commands() -> dict[str, str]:
    """Every text that tells a person what to type, by where it stands."""
    shipped = [
        path
        for path in (ROOT / "deploy").rglob("*")
        if path.is_file() and path.suffix not in {".json", ".lock"}
    ]
    shown = [
        ROOT / "probes/page.py",
        *(ROOT / "dashboards/web/templates").glob("*.html"),
    ]
    texts = {
        path.relative_to(ROOT).as_posix(): re.sub(
            "</?code>", "`", path.read_text(encoding="utf-8")
        )
        for path in [*PAGES, *DECISIONS, *shipped, *shown]
    }
    for rule in load_rules(CATALOGUE):
        told = f"{rule.cause}\n{rule.runbook}".format_map(IN_GENERAL)
        texts[f"rule {rule.id}"] = told
    return texts


TEXTS = _texts_with_commands()


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_line_in_the_documents_exists(name: str) -> None:
    wrong = []
    for line in _command_lines(TEXTS[name]):
        words = line.split(" #")[0].replace("…", "").split()
        plain = [word for word in words if not word.startswith("-")]
        known = next(
            (c for c in (" ".join(plain[:n]) for n in (3, 2)) if c in COMMANDS), None
        )
        if known is None:
            # `towpath agents` and `towpath agents list`, `revoke` … name groups.
            if not any(c.startswith(" ".join(plain[:2])) for c in COMMANDS):
                wrong.append(f"{line!r}: no such command")
            continue
        for word in words:
            option = word.split("=")[0].strip("[],")
            if re.match(r"-(\d|$)", option):
                continue  # a time before now, as in `--from -1d`; standard input
            if option.startswith("-") and option not in COMMANDS[known]:
                wrong.append(f"{line!r}: {known} has no {option}")
    assert not wrong, f"{name}: {wrong}"


def _parse_error(line: str) -> str:
    """Why the command itself would refuse what somebody types; "" if it would not."""
    words = shlex.split(re.split(r"\s#|[<>|]", line)[0])
    if words[0] == "towpath-agent":
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                agent_cli._parser().parse_args(words[1:])
        except SystemExit as end:
            return said.getvalue() if end.code else ""
        return ""
    command: Any = typer.main.get_command(cli.app)
    parent = command.context_class(command, info_name="towpath")
    words = words[1:]
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    try:
        command.make_context(command.name, words, parent=parent)
    except (SystemExit, typer.Exit):
        return ""
    except Exception as error:  # noqa: BLE001 - typer's own copy of click has its classes
        return f"{type(error).__name__}: {getattr(error, 'message', error)}"
    return ""


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "CHANGELOG.md"])
def test_every_whole_command_line_is_taken_by_its_command(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOWPATH_CONFIG", "towpath.toml")
    monkeypatch.setenv("TOWPATH_GRAFANA_TOKEN", "a token")
    wrong = {}
    for line in _command_lines(TEXTS[name]):
        # A line with a gap in it, or the bare name of a command, is no line to type.
        if re.search(r"[…\[({]", line) or line in COMMANDS or line in GROUPS:
            continue
        if error := _parse_error(line):
            wrong[line] = error
    assert not wrong


def test_no_option_loses_a_part_of_its_help_to_markup() -> None:
    """Rich takes `[name]` for a style, and shows nothing of it."""
    said = {
        f"{name} {parameter.name}": parameter.help or ""
        for name, command in _typer_leaves(typer.main.get_command(cli.app), "towpath")
        for parameter in command.params
        if hasattr(parameter, "help")
    }
    assert said
    assert {
        where for where, help in said.items() if re.search(r"\[[a-z/]", help)
    } == set()


def test_every_make_target_in_the_documents_exists_and_each_is_explained() -> None:
    makefile = text_of("Makefile")
    there = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    there |= set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for name in _NAMES:
        said = set(re.findall(r"(?:`|^)make ([a-z]+)", text_of(name), re.MULTILINE))
        assert said <= there, f"{name}: {said - there}"
    explained = text_of("docs/contributor.md")
    for target in re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE):
        assert f"`make {target}" in explained, f"contributor.md: make {target}"


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
    day_bytes = costs.total(costs.day(policy, metered=False, services=5, names=3))
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
    hours = re.search(r"some [\d,]+ hours", _journal_hours(TowpathConfig(), estate))
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


# -- names -----------------------------------------------------------------------------

SETTINGS = {
    ".".join(name.split(".")[:length])
    for settings in (
        council_settings,
        estate_settings,
        reflector_settings,
        agent_settings,
    )
    for name, _ in settings()
    for length in range(1, name.count(".") + 2)
}
SECTIONS = {name.split(".")[0] for name in SETTINGS if "." in name}


def _code(text: str) -> list[str]:
    """Inline code outside fenced blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


@pytest.mark.parametrize("name", TEXTS)
def test_every_setting_that_a_text_names_exists(name: str) -> None:
    sections = "|".join(sorted(SECTIONS))
    named = {
        found[1]
        for code in _code(TEXTS[name])
        if (found := re.match(rf"((?:{sections})\.[\w.]+)(?: = .*)?$", code))
    }
    files = re.compile(r"\.(py|md|toml|sqlite|csv|json|yaml|key|html|css|conf)$")
    assert {each for each in named if not files.search(each)} <= SETTINGS


@pytest.mark.parametrize("name", TEXTS)
def test_every_name_with_underscores_in_a_text_is_one_of_the_code(name: str) -> None:
    """Fields, measurements, rules, findings, log events, outcomes, functions."""
    named = {code for code in _code(TEXTS[name]) if re.fullmatch(r"[a-z]\w*_\w+", code)}
    own = {
        line for block in blocks(TEXTS[name], "yaml") for line in NAMES.findall(block)
    }
    metrics = {
        f"towpath_{measurement.name}_{field.name}{end}"
        for measurement in CATALOGUE
        for field in measurement.fields
        for end in ("", "_total")
    }
    assert named - own <= CODE_NAMES | metrics


@pytest.mark.parametrize("name", TEXTS)
def test_every_decision_that_a_text_names_exists(name: str) -> None:
    there = {path.name[:3] for path in DECISIONS}
    named = re.findall(r"[Dd]ecisions?[ /]\d{3}\b|\[\d{3}\]", TEXTS[name])
    assert {each.strip("[]")[-3:] for each in named} <= there


def test_every_decision_has_a_number_of_its_own_and_a_line_in_the_list() -> None:
    numbers = [path.name[:3] for path in DECISIONS if path.name != "README.md"]
    assert sorted(set(numbers)) == sorted(numbers)
    listed = text_of("docs/decisions/README.md")
    for path in DECISIONS:
        if path.name == "README.md":
            continue
        title = re.sub(r"^# \d{3}[.:]? ", "", path.read_text().splitlines()[0])
        assert f"| {path.name[:3]} | [{title}]({path.name}) |" in listed


@pytest.mark.parametrize("name", TEXTS)
def test_every_board_that_a_text_names_exists(name: str) -> None:
    text = " ".join(TEXTS[name].split())
    named = set(re.findall(r"\bthe ([A-Z]\w+(?: [a-z]+)?) board\b", text))
    assert named - {"Grafana"} <= BOARD_TITLES


# -- the changelog ---------------------------------------------------------------------


def test_the_changelog_says_each_change_once_in_one_place() -> None:
    text = text_of("CHANGELOG.md")
    entries = [
        " ".join(entry.split())
        for entry in re.findall(r"^- (.*?)(?=^- |^#|\Z)", text, re.M | re.S)
    ]
    assert sorted(set(entries)) == sorted(entries)
    sections = re.findall(r"^## .*?(?=^## |\Z)", text, re.M | re.S)
    for section in sections:
        heads = re.findall(r"^### (.+)$", section, re.MULTILINE)
        assert sorted(set(heads)) == sorted(heads)


def test_the_changelog_calls_nothing_fixed_before_a_release_had_it() -> None:
    versions = re.findall(r"^## .*?(?=^## |\Z)", text_of("CHANGELOG.md"), re.M | re.S)
    assert versions
    assert not re.search(r"^### Fixed", versions[-1], re.MULTILINE)


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
        ("towpath dashboards check", "boards are well"),
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
