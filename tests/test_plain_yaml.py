"""A document that is built from events is the one that its nodes mean."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from collectors.plain_yaml import NotPlain, build_plain
from collectors.yaml_file import Loader, parse_yaml

# A type or a trap of YAML each.
WORDS = st.sampled_from(
    [
        *("a", "b", "é", "1", "01", "0x1F", "1_000", "1:30", "-2.5", "1e3", "1.3.6.1"),
        *(".nan", "-.inf", "yes", "No", "on", "null", "~", "<<", "=", "''", "'1'"),
        *('"no"', "2026-10-01", "2026-10-01T10:00:00Z", "2026-13-01"),
    ]
)
TEXTS = st.recursive(
    WORDS,
    lambda parts: (
        st.lists(parts, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(WORDS, parts), max_size=4).map(
            lambda pairs: f"{{{', '.join(f'{k}: {v}' for k, v in pairs)}}}"
        )
    ),
    max_leaves=12,
)
ODD = st.text("[]{}:,-?&*!<a1'\"#|> \n", max_size=25)


@given(TEXTS | ODD)
def test_a_plain_document_is_what_its_nodes_mean(text: str) -> None:
    try:
        built = build_plain(text, Loader)
    except (NotPlain, yaml.YAMLError):
        return
    # As text, as a date or true equals no other type there, and nan itself.
    assert repr(built) == repr(yaml.load(text, Loader))


@pytest.mark.parametrize(
    "text",
    [
        "a: &one [1]\nb: *one",
        "a: {<<: {b: 1}}",
        "a: !!str 1",
        "a: 1\na: 2",
        "1: a\n'1': b",
        "? [a]\n: b",
        "a: 1\n---\nb: 2",
        "a: 2026-13-01",
    ],
)
def test_what_only_nodes_show_is_not_built_without_them(text: str) -> None:
    with pytest.raises(NotPlain):
        build_plain(text, Loader)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("a: 1\nb: 2\na: 3\n", "x.yaml:13: 'a' appears twice"),
        ("a: 2026-13-01\n", "x.yaml:11: is not valid YAML: month must be in 1..12"),
        ("a: [\n", "x.yaml:12: is not valid YAML: did not find expected node content"),
    ],
)
def test_what_is_wrong_is_a_finding_with_its_line(text: str, finding: str) -> None:
    findings: list[str] = []
    parse_yaml(Path("x.yaml"), text, findings, first=10)
    assert findings == [finding]


def test_the_line_of_a_merged_key_is_where_it_is_written() -> None:
    text = "one: &one\n  a: 1\ntwo:\n  <<: *one\n  b: [2, 3]\n"
    findings: list[str] = []
    document, lines = parse_yaml(Path("x.yaml"), text, findings)
    assert document["two"] == {"a": 1, "b": [2, 3]}
    assert findings == []
    assert [lines.line(path) for path in ("two.a", "two.b[1]", "two.b.c")] == [2, 5, 5]
