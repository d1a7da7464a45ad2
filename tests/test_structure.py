"""The house a stranger can read: names that mean one thing, modules of a size to read,
and a picture of the rooms that is true."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import rooms

MOST_LINES = 400


def _files(*folders: str) -> list[Path]:
    return [p for f in folders for p in sorted((rooms.ROOT / f).rglob("*.py"))]


def _shown(path: Path) -> str:
    return str(path.relative_to(rooms.ROOT))


def test_no_two_modules_share_a_name() -> None:
    by_name = defaultdict(list)
    for path in _files(*rooms.PACKAGES):
        if not path.stem.startswith("__"):
            by_name[path.stem].append(_shown(path))
    assert {name: paths for name, paths in by_name.items() if len(paths) > 1} == {}


def test_no_two_classes_share_a_name() -> None:
    by_name = defaultdict(list)
    for path in _files(*rooms.PACKAGES):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                by_name[node.name].append(_shown(path))
    assert {name: paths for name, paths in by_name.items() if len(paths) > 1} == {}


def test_every_module_is_short_enough_to_read() -> None:
    lines = {
        _shown(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in _files(*rooms.PACKAGES, "benchmarks", "tests")
    }
    assert {path: n for path, n in lines.items() if n > MOST_LINES} == {}


def test_no_rooms_import_each_other_in_a_circle() -> None:
    floors = rooms.floors(rooms.rooms())
    assert floors[0] == ["towpath"]
    assert "probes.wire" in floors[-1]


def test_the_architecture_page_shows_the_rooms_as_they_are() -> None:
    page = rooms.ARCHITECTURE.read_text(encoding="utf-8")
    assert rooms.picture_in(page) == rooms.picture(), "run `make docs`"


def test_an_import_that_is_not_in_the_picture_is_noticed(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("from alerts.notify import page\nimport probes.wire\n")
    names = {
        "alerts.notify": module,
        "alerts.notify.page": module,
        "probes.wire": module,
    }
    assert set(rooms.imports(module, names)) == {"alerts.notify.page", "probes.wire"}


def test_a_file_that_a_text_names_is_there() -> None:
    tracked = [
        path.relative_to(rooms.ROOT).as_posix()
        for folder in (*rooms.PACKAGES, "benchmarks", "tests", "deploy")
        for path in (rooms.ROOT / folder).rglob("*.py")
    ]
    texts = [*_files(*rooms.PACKAGES), *(rooms.ROOT / "docs").rglob("*.md")]
    lost = {
        f"{_shown(text)}: {name}"
        for text in texts
        for name in re.findall(
            r"`((?:[\w{}*,]+/)*\w+\.py)`", text.read_text(encoding="utf-8")
        )
        if not any(f"/{path}".endswith(f"/{name}") for path in tracked)
    }
    assert lost == set()


def test_each_step_of_the_journeys_is_in_the_code() -> None:
    page = rooms.ARCHITECTURE.read_text(encoding="utf-8")
    journeys = page[page.index("## Three journeys") : page.index("## Where to add")]
    steps = re.findall(r"`([\w/]+\.py)`\s+`([\w.]+)`", journeys)
    assert len(steps) > 30
    lost = [
        f"{path} {name}"
        for path, name in steps
        if not _defines(rooms.ROOT / path, name.split("."))
    ]
    assert lost == []


def _defines(path: Path, names: list[str]) -> bool:
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    for name in names:
        inner = [n for n in nodes if getattr(n, "name", None) == name]
        if not inner:
            return False
        nodes = getattr(inner[0], "body", [])
    return True


def test_no_test_fails_because_the_machine_is_busy() -> None:
    """None asserts that something took less than so long, except in virtual time."""
    limited = re.compile(r"assert .*\b(?:monotonic|perf_counter|time)\(\) - .*<")
    found = [
        f"{path.name}: {line.strip()}"
        for path in (rooms.ROOT / "tests").glob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if limited.search(line)
    ]
    assert found == []


def test_every_program_that_the_tests_ask_for_is_installed_for_them() -> None:
    """`make services` installs it, or it is in the smallest Debian."""
    listed = (rooms.ROOT / "deploy/install-services").read_text(encoding="utf-8")
    installed = set(re.findall(r"([\w.-]+):[\w.-]+", listed))
    asked = {
        name
        for path in _files("tests")
        for name in re.findall(
            r"\bprogram\(\s*\"([\w.-]+)\"\s*\)", path.read_text(encoding="utf-8")
        )
    }
    assert asked - installed <= {"dpkg-deb", "nsenter", "unshare"}
    assert "tshark" in asked
