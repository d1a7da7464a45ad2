"""What `--json` prints is JSON, whatever the figures are."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.json_text import json_text

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)


def strict(text: str) -> Any:
    """As a parser that keeps to RFC 8259 reads it: no NaN, no Infinity."""

    def refuse(word: str) -> Any:
        pytest.fail(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def known(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: known(each) for key, each in value.items()}
    return [known(item) for item in value] if isinstance(value, list) else value


@given(_values, st.sampled_from([-1, 0, 1, 2]))
def test_everything_comes_back_and_what_json_cannot_say_is_null(
    value: Any, indent: int
) -> None:
    text = json_text(value, indent)
    assert strict(text) == known(value)
    if indent < 0:
        assert "\n" not in text


def test_text_stays_readable() -> None:
    assert json_text({"name": "Caf\u00e9"}) == '{"name":"Caf\u00e9"}'
