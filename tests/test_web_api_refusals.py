"""What the API says about a request that it refuses, in words of people."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from dashboards.web.api.api_exchange import explain


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    pick: Annotated[str, msgspec.Meta(pattern="^[a-z]+$")]
    limit: Annotated[int, msgspec.Meta(ge=1)] = 1


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({}, "`pick` is missing"),
        ({"pick": "a", "nope": 1}, "`nope` is not known here"),
        ({"pick": "a", "limit": 0}, "limit: expected a whole number >= 1"),
        (
            {"pick": "UP:mean"},
            "pick: expected a text of the form in /api/v1/openapi.json",
        ),
        ({"pick": 1}, "pick: expected a text, got a whole number"),
    ],
)
def test_a_refusal_says_what_was_expected_without_words_of_a_library(
    asked: dict[str, Any], why: str
) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(asked, _Asked)
    assert explain(caught.value) == why
