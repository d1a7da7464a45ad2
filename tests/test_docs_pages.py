"""The documents' tables match the code, and their links and files exist."""

from __future__ import annotations

import re
from pathlib import Path

from documents import (
    DECISIONS,
    PAGES,
    ROOT,
    text_of,
)

from alerts.rule_files import load_rules
from collectors.estate import load as load_estate
from collectors.personal_data import PLACES
from collectors.server_measurements import CATALOGUE
from probes.wire import data_costs
from towpath.check import _journal_hours
from towpath.config import TowpathConfig
from towpath.doc_pages import catalogue_page, places_table, rules_table


def test_the_catalogue_page_is_up_to_date() -> None:
    assert text_of("docs/catalogue.md") == catalogue_page(CATALOGUE), "run: make docs"


def test_the_on_call_page_lists_every_rule() -> None:
    table = rules_table(load_rules(CATALOGUE))
    assert table in text_of("docs/on-call.md"), "run `make docs`"


def test_the_privacy_page_lists_every_place_of_personal_data() -> None:
    assert places_table(PLACES) in text_of("docs/privacy.md"), "run `make docs`"


def test_the_staff_page_gives_the_agents_data_in_a_working_day() -> None:
    day_bytes = data_costs.total(data_costs.typical_day(metered=False))
    mb = round(day_bytes * 9 / 24 / 1e6)
    text = f"About {mb} MB of data in a working day of nine hours"
    assert text in text_of("docs/staff.md")


def test_the_operators_page_gives_the_journals_hours_that_check_prints(
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


def test_every_link_and_picture_leads_somewhere() -> None:
    links = [(path, *link) for path in [*PAGES, *DECISIONS] for link in _links(path)]
    assert len(links) > 300
    for path, alt, target in links:
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), f"{path.name}: {target} is not there"
        if anchor and linked.suffix == ".md":
            assert anchor in _anchors(linked.read_text()), f"{path.name}: {target}"
        if alt.startswith("!"):
            assert len(alt) > 30, (
                f"{path.name}: {target} needs a text for people who cannot see it"
            )
            assert linked.stat().st_size < 200_000, f"{target} is large"


def _links(path: Path) -> list[tuple[str, str]]:
    """The links of a page, outside its examples: text and target."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.findall(r"(!?\[[^\]]*\])\(([^)\s]+)\)", text)


def test_every_page_is_linked_from_the_first_one() -> None:
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        reached.add(page)
        for target in re.findall(r"\]\(([^)#\s]+\.md)", page.read_text()):
            linked = (page.parent / target).resolve()
            if linked.exists() and linked not in reached:
                todo.append(linked)
    assert {p for p in PAGES if p not in reached} == set()
    assert {p for p in DECISIONS if p not in reached} == set()


def test_no_page_names_a_path_of_somebodys_own_machine() -> None:
    local_path = re.compile(
        r"(?<![\w.])(?:/work/|/tmp/|/root/|/home/[a-z]|/Users/|[A-Z]:\\Users)\S*"
    )
    local_paths = [
        (path.name, found)
        for path in [*PAGES, *DECISIONS]
        for found in local_path.findall(path.read_text(encoding="utf-8"))
    ]
    assert local_paths == []


def test_every_file_a_page_names_is_there() -> None:
    rooms = "probes|collectors|alerts|dashboards|towpath|deploy|tests|benchmarks|docs"
    missing = [
        (path.name, file_name)
        for path in PAGES
        for file_name in re.findall(rf"`((?:{rooms})/[\w./@*-]+)`", path.read_text())
        if not list(ROOT.glob(file_name.rstrip("/")))
    ]
    assert missing == []
