"""What a text names is there: commands, settings, fields, rules, boards, decisions."""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import typer
from documents import (
    DECISIONS,
    PAGE_NAMES,
    PAGES,
    ROOT,
    agent_settings,
    blocks,
    council_settings,
    estate_settings,
    reflector_settings,
    text_of,
)

from alerts.alert_text import GENERIC_VALUES
from alerts.prometheus.prometheus_rules import prometheus_document
from alerts.rule_files import load_rules
from collectors.server_measurements import CATALOGUE
from collectors.store.rolled_measurements import rolled_steps
from collectors.store.rolled_rows import rolled_measurement
from dashboards.grafana.boards import BOARDS
from probes.agent.agent_parser import make_parser
from towpath import cli

NAMES = re.compile(r"[a-z]\w*_\w+")
BOARD_TITLES = {board.title for board in BOARDS}


@functools.cache
def _code_names() -> set[str]:
    rooms = ("probes", "collectors", "alerts", "dashboards", "towpath", "deploy")
    return {
        name
        for folder in rooms
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".yaml", ".conf", ".html"}
        for name in NAMES.findall(path.read_text(encoding="utf-8"))
    } | {
        named.name
        for measurement in CATALOGUE
        for named in (*measurement.tags, *measurement.fields)
    }


# -- commands --------------------------------------------------------------------------


def _typer_leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for word, inner in sorted(command.commands.items()):
            if not inner.hidden:  # an older name of the same commands
                yield from _typer_leaves(inner, f"{name} {word}")
    else:
        yield name, command


def _typer_commands(command: Any, name: str) -> Iterator[tuple[str, set[str]]]:
    for leaf, inner in _typer_leaves(command, name):
        options = {opt for p in inner.params for opt in (*p.opts, *p.secondary_opts)}
        yield leaf, options | {"--help"}


def _agent_commands() -> Iterator[tuple[str, set[str]]]:
    parser = make_parser()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield f"towpath-agent {name}", set(command._option_string_actions)


@functools.cache
def _built() -> Any:
    return typer.main.get_command(cli.app)


@functools.cache
def _commands() -> dict[str, set[str]]:
    return {
        **dict(_typer_commands(_built(), "towpath")),
        **dict(_agent_commands()),
    }


# Hundreds of texts and commands: a test tries all, and names those it fails for.
def test_every_command_is_in_the_documents() -> None:
    texts = [text_of(name) for name in PAGE_NAMES]
    nowhere = {
        command
        for command in _commands()
        if not any(re.search(rf"\b{re.escape(command)}\b(?!-)", t) for t in texts)
    }
    assert _commands()
    assert nowhere == set()


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


@functools.cache
def _texts_with_commands() -> dict[str, str]:
    """Every text with commands to type, by its place."""
    shipped = [
        path
        for path in (ROOT / "deploy").rglob("*")
        if path.is_file() and path.suffix not in {".json", ".lock", ".pyc"}
    ]
    shown = [
        ROOT / "probes/diagnosis/is_it_me_page.py",
        *(ROOT / "dashboards/web/templates").glob("*.html"),
    ]
    texts = {
        path.relative_to(ROOT).as_posix(): re.sub(
            "</?code>", "`", path.read_text(encoding="utf-8")
        )
        for path in [*PAGES, *DECISIONS, *shipped, *shown]
    }
    for rule in load_rules(CATALOGUE):
        told = f"{rule.cause}\n{rule.runbook}".format_map(GENERIC_VALUES)
        texts[f"rule {rule.id}"] = told
    return texts


def wrong_in_texts(find_wrong: Callable[[str], Iterable[str]]) -> dict[str, list[str]]:
    """What `find_wrong` finds in each text, by the texts in which it finds any."""
    texts = _texts_with_commands()
    found = {name: sorted(find_wrong(text)) for name, text in texts.items()}
    assert len(found) > 200
    return {name: wrong for name, wrong in found.items() if wrong}


def _unknown_commands(text: str) -> Iterator[str]:
    """What is wrong with the command lines of a text."""
    for line in _command_lines(text):
        words = line.split(" #")[0].replace("…", "").split()
        plain = [word for word in words if not word.startswith("-")]
        known = next(
            (c for c in (" ".join(plain[:n]) for n in (3, 2)) if c in _commands()), None
        )
        if known is None:
            # `towpath fleet` and `towpath fleet list`, `revoke` … name groups.
            if not any(c.startswith(" ".join(plain[:2])) for c in _commands()):
                yield f"{line!r}: no such command"
            continue
        for word in words:
            option = word.split("=")[0].strip("[],")
            if re.match(r"-(\d|$)", option):
                continue  # a time before now, as in `--from -1d`; standard input
            if option.startswith("-") and option not in _commands()[known]:
                yield f"{line!r}: {known} has no {option}"


def test_every_command_line_in_the_documents_exists() -> None:
    assert wrong_in_texts(_unknown_commands) == {}


def _parse_error(line: str) -> str:
    """Why the command itself would refuse this line; "" if it would not."""
    words = shlex.split(re.split(r"\s#|[<>|]", line)[0])
    if words[0] == "towpath-agent":
        output = io.StringIO()
        try:
            with contextlib.redirect_stderr(output), contextlib.redirect_stdout(output):
                make_parser().parse_args(words[1:])
        except SystemExit as end:
            return output.getvalue() if end.code else ""
        return ""
    command: Any = _built()
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


def _refused_lines(text: str) -> Iterator[str]:
    """The whole command lines of a text that their commands refuse, and why."""
    groups = {command.rsplit(" ", 1)[0] for command in _commands()}
    for line in _command_lines(text):
        # A line with a gap in it, or the bare name of a command, is no line to type.
        if re.search(r"[…\[({]", line) or line in _commands() or line in groups:
            continue
        if error := _parse_error(line):
            yield f"{line!r}: {error}"


def test_every_whole_command_line_is_taken_by_its_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOWPATH_CONFIG", "towpath.toml")
    monkeypatch.setenv("TOWPATH_GRAFANA_TOKEN", "a token")
    wrong = wrong_in_texts(_refused_lines)
    # Some of its lines are of commands that were replaced since.
    wrong.pop("CHANGELOG.md", None)
    assert wrong == {}


def test_no_command_has_one_name_for_two_options() -> None:
    """Only one of them could be set."""
    alike = {}
    for name, command in _typer_leaves(typer.main.get_command(cli.app), "towpath"):
        names = Counter(opt for p in command.params for opt in p.opts)
        alike[name] = [opt for opt, times in names.items() if times > 1]
    assert alike
    assert {name: opts for name, opts in alike.items() if opts} == {}


def test_no_option_loses_a_part_of_its_help_to_markup() -> None:
    """Rich takes `[name]` for a style, and shows nothing of it."""
    commands_found = {
        f"{name} {parameter.name}": parameter.help or ""
        for name, command in _typer_leaves(typer.main.get_command(cli.app), "towpath")
        for parameter in command.params
        if hasattr(parameter, "help")
    }
    assert commands_found
    assert {
        where for where, help in commands_found.items() if re.search(r"\[[a-z/]", help)
    } == set()


def test_every_make_target_in_the_documents_exists_and_each_is_explained() -> None:
    makefile = text_of("Makefile")
    there = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    there |= set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for name in PAGE_NAMES:
        commands_named = set(
            re.findall(r"(?:`|^)make ([a-z]+)", text_of(name), re.MULTILINE)
        )
        assert commands_named <= there, f"{name}: {commands_named - there}"
    explained = text_of("docs/contributor.md")
    for target in re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE):
        assert f"`make {target}" in explained, f"contributor.md: make {target}"


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


EXPORTED_RULES, _ = prometheus_document(load_rules(CATALOGUE))


def _code(text: str) -> list[str]:
    """Inline code outside fenced blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def test_every_setting_that_a_text_names_exists() -> None:
    sections = "|".join(sorted(SECTIONS))
    setting = re.compile(rf"((?:{sections})\.[\w.]+)(?: = .*)?$")
    files = re.compile(r"\.(py|md|toml|sqlite|csv|json|yaml|key|html|css|conf)$")

    def unknown(text: str) -> set[str]:
        named = {found[1] for code in _code(text) if (found := setting.match(code))}
        return {name for name in named if not files.search(name)} - SETTINGS

    assert wrong_in_texts(unknown) == {}


def test_every_name_with_underscores_in_a_text_is_one_of_the_code() -> None:
    """Fields, measurements, rules, findings, log events, outcomes, functions."""
    metrics = {
        f"towpath_{measurement.name}_{field.name}{end}"
        for measurement in CATALOGUE
        for field in measurement.fields
        for end in ("", "_total")
    }
    metrics |= set(re.findall(r"towpath_\w+", EXPORTED_RULES))
    rolled = [
        rolled_measurement(measurement, step)
        for measurement in CATALOGUE
        for step in rolled_steps(measurement)
    ]
    roll_ups = {measurement.name for measurement in rolled}
    roll_ups |= {field.name for measurement in rolled for field in measurement.fields}
    known = _code_names() | metrics | roll_ups

    def unknown(text: str) -> set[str]:
        named = {code for code in _code(text) if NAMES.fullmatch(code)}
        own = {line for block in blocks(text, "yaml") for line in NAMES.findall(block)}
        return named - own - known

    assert wrong_in_texts(unknown) == {}


def test_every_decision_that_a_text_names_exists() -> None:
    there = {path.name[:3] for path in DECISIONS}

    def unknown(text: str) -> set[str]:
        named = re.findall(r"[Dd]ecisions?[ /]\d{3}\b|\[\d{3}\]", text)
        return {name.strip("[]")[-3:] for name in named} - there

    assert wrong_in_texts(unknown) == {}


def test_every_decision_has_a_number_of_its_own_and_a_line_in_the_list() -> None:
    numbers = [path.name[:3] for path in DECISIONS if path.name != "README.md"]
    assert sorted(set(numbers)) == sorted(numbers)
    listed = text_of("docs/decisions/README.md")
    for path in DECISIONS:
        if path.name == "README.md":
            continue
        title = re.sub(r"^# \d{3}[.:]? ", "", path.read_text().splitlines()[0])
        assert f"| {path.name[:3]} | [{title}]({path.name}) |" in listed


def test_every_board_that_a_text_names_exists() -> None:
    named_as_board = re.compile(r"\bthe ([A-Z]\w+(?: [a-z]+)?) board\b")

    def unknown(text: str) -> set[str]:
        named = set(named_as_board.findall(" ".join(text.split())))
        return named - BOARD_TITLES - {"Grafana"}

    assert wrong_in_texts(unknown) == {}


# -- the changelog ---------------------------------------------------------------------


def test_the_changelog_lists_each_change_once() -> None:
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
