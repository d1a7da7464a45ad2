"""The starter of a data protection impact assessment is true of the code."""

import re
from itertools import pairwise

import pytest
from documents import ROOT, text_of
from pydantic import ValidationError

from alerts.rule_checks import rule_errors
from alerts.rule_files import load_rules
from collectors.experience.groups import GroupsConfig
from collectors.ingest.ingest_config import PolicyConfig
from collectors.personal_data import PERSONAL_DAYS, PLACES
from collectors.server_measurements import CATALOGUE
from collectors.store.query_command import QueryRefused, shared_measurement
from probes.agent.settings import Settings
from towpath.config import TowpathConfig
from towpath.dpia_tables import (
    DIAGRAM_BEGIN,
    DIAGRAM_END,
    PURPOSES,
    common_names,
    flows_diagram,
    flows_table,
    items_table,
)

PAGE = text_of("docs/dpia.md")
PERSONAL = [measurement for measurement in CATALOGUE if measurement.personal]


def rows_of(head: str) -> list[list[str]]:
    """The cells of the table that begins with `head`."""
    _, _, rest = PAGE.partition(f"{head}\n")
    assert rest, f"no table begins with {head}"
    lines = re.match(r"(\|.*\n)*", rest)
    assert lines is not None
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines[0].splitlines()[1:]
    ]


def test_the_tables_are_those_of_the_code() -> None:
    assert items_table(CATALOGUE) in PAGE, "run: make docs"
    assert flows_table(CATALOGUE, PLACES) in PAGE, "run: make docs"
    diagram = flows_diagram(CATALOGUE, PLACES)
    assert DIAGRAM_BEGIN + diagram + DIAGRAM_END in PAGE, "run: make docs"


def test_every_personal_measurement_has_a_purpose_and_a_basis() -> None:
    names = {measurement.name for measurement in PERSONAL}
    assert PURPOSES.keys() == names
    basis = rows_of("| item | proposed basis | because | decide |")
    named = {name for row in basis for name in re.findall(r"`(\w+)`", row[0])}
    assert named == names
    assert all(row[1].startswith("6(1)(") for row in basis)


def test_what_every_row_has_is_in_the_text() -> None:
    before = PAGE.partition("| item | what it is for")[0]
    for measurement in PERSONAL:
        assert [tag.name for tag in measurement.tags] == [
            tag.name for tag in PERSONAL[0].tags
        ]
    for name in common_names(CATALOGUE):
        assert f"`{name}`" in before, name


def test_nothing_about_one_laptop_is_kept_for_longer_than_thirty_days() -> None:
    assert PERSONAL_DAYS == 30
    assert {m.name for m in PERSONAL if m.retention_days > PERSONAL_DAYS} == set()
    for place in PLACES:
        if place.root in {"journal", "store", "bodies"}:
            assert re.search(r"30 days|seconds", place.kept), place.glob


def test_no_rule_may_be_about_one_laptop() -> None:
    some = load_rules(CATALOGUE)
    for rule in some:
        assert not CATALOGUE.measurement(rule.measurement).personal
    for measurement in PERSONAL:
        changed = next(iter(some)).model_copy(update={"measurement": measurement.name})
        says = [sentence for _, sentence in rule_errors(changed, "rules[1]", CATALOGUE)]
        assert any("is about one laptop" in sentence for sentence in says)


def test_queries_and_exports_about_one_laptop_are_refused() -> None:
    for measurement in PERSONAL:
        with pytest.raises(QueryRefused):
            shared_measurement(measurement.name, CATALOGUE)


def test_the_defaults_are_those_of_the_text() -> None:
    assert GroupsConfig().least == 10
    with pytest.raises(ValidationError):
        GroupsConfig(least=4)
    assert TowpathConfig().grafana.personal is False
    assert PolicyConfig().longest_pause_s == 86_400
    assert Settings().spool.max_days == 28
    assert CATALOGUE.measurement("experience").retention_days == 400


def test_the_scores_of_the_risks_are_right_and_come_down() -> None:
    risks = rows_of(
        "| risk | likelihood | harm | score | measures | likelihood after "
        "| harm after | residual |"
    )
    assert len(risks) >= 12
    scores = []
    for risk, likely, harm, score, measures, likely_after, harm_after, left in risks:
        assert int(score) == int(likely) * int(harm), risk
        assert int(left) == int(likely_after) * int(harm_after), risk
        assert {likely, harm, likely_after, harm_after} <= {"1", "2", "3"}, risk
        assert int(left) < int(score), risk
        assert int(left) < 6, risk
        assert measures, risk
        scores.append(int(score))
    assert scores[0] == max(scores)


def test_every_statement_has_a_test_that_exists() -> None:
    statements = rows_of("| statement | test |")
    for statement, test in statements:
        path, _, name = test.strip("`").partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(), statement


def test_what_the_council_decides_is_marked_in_every_section_that_needs_it() -> None:
    heads = [match.start() for match in re.finditer(r"^## ", PAGE, re.MULTILINE)]
    sections = [PAGE[a:b] for a, b in pairwise([*heads, len(PAGE)])]
    open_ones = {
        section.partition("\n")[0].split(".")[0].removeprefix("## ")
        for section in sections
        if "**Decide" in section or "| decide |" in section
    }
    assert open_ones == {"1", "3", "4", "5", "7", "8", "9"}


def test_the_sheet_for_staff_representatives_is_one_page_of_plain_words() -> None:
    sheet = text_of("docs/consultation.md")
    words = re.findall(r"[A-Za-z']+", sheet)
    assert len(words) <= 480
    sentences = re.split(r"(?<=[.?!])\s", sheet)
    assert max(len(sentence.split()) for sentence in sentences) <= 45
    assert sum(len(word) for word in words) / len(words) < 4.8
