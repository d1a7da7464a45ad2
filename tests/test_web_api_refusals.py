"""What the API says about a request that it refuses, in words of people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from api_council import CouncilApi
from test_web_api import problem

from dashboards.web.api.request_faults import explain

_Pair = Annotated[str, msgspec.Meta(pattern="^[a-z]+=", examples=["site=depot"])]


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    pick: Annotated[str, msgspec.Meta(pattern="^[a-z]+$")]
    limit: Annotated[int, msgspec.Meta(ge=1)] = 1
    where: Annotated[tuple[_Pair, ...], msgspec.Meta(max_length=2)] = ()
    why: Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f]*$")] = ""
    state: Literal["open", "ended"] | None = None


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({}, "`pick` is missing"),
        ({"pick": "a", "nope": 1}, "`nope` is not known here"),
        (
            {"pick": "a", "limt": 1},
            "`limt` is not known here; did you mean 'limit'?",
        ),
        (
            {"pick": "a", "state": "opne"},
            "state: 'opne' is none of ended, open; did you mean 'open'?",
        ),
        ({"pick": "a", "limit": 0}, "limit: expected a whole number >= 1"),
        (
            {"pick": "UP:mean"},
            "pick: expected a text of the form in /api/v1/openapi.json",
        ),
        ({"pick": 1}, "pick: expected a text, got a whole number"),
        (
            {"pick": "a", "where": ["a=b", "a"]},
            "where[1]: expected a text such as 'site=depot'",
        ),
        (
            {"pick": "a", "where": ["a=b"] * 3},
            "where: expected a list, at most 2 long",
        ),
        (
            {"pick": "a", "why": "a\nb"},
            "why: expected a text of the form in /api/v1/openapi.json, on one line, "
            "without control characters",
        ),
    ],
)
def test_a_refusal_says_what_was_expected_without_words_of_a_library(
    asked: dict[str, Any], why: str
) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(asked, _Asked)
    assert explain(caught.value, _Asked) == why


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T09:00:00",
        "2026-11-20T09:00:00+00:00",
        "2026-11-20",
        "1795000000",
        "1795000000.5",
        "-1795000000",
        "now-1h",
        "nan",
        "2026-02-30T00:00:00Z",
    ],
)
def test_a_time_without_its_offset_is_refused_with_one_that_is_good(
    tmp_path: Path, text: str
) -> None:
    with CouncilApi(tmp_path).client() as client:
        # As a program writes it that does not encode it: + is a space then.
        status, detail = problem(client.get(f"/alerts?since={text}"))
        assert status == 400
        assert detail.startswith("since: expected a time with its offset from UTC")
        assert client.get("/alerts?since=2026-11-17T09:00:00%2B01:00").is_success


@pytest.mark.parametrize(
    "text", ["1e2", "%2B5", "5.0", "%D9%A5", "0x5", " 5", "9" * 30, ""]
)
def test_a_number_is_read_as_the_description_has_it(tmp_path: Path, text: str) -> None:
    with CouncilApi(tmp_path).client() as client:
        status, detail = problem(client.get(f"/sites?limit={text}"))
        assert (status, detail) == (400, "limit: expected a whole number")


@pytest.mark.parametrize("path", ["", "/"])
def test_the_beginning_of_the_api_says_where_its_description_is(
    tmp_path: Path, path: str
) -> None:
    with CouncilApi(tmp_path).client("") as client:
        where = client.get(path).json()["openapi"]
        assert where == "/api/v1/openapi.json"
        assert client.get(where.removeprefix("/api/v1")).is_success


def test_two_tokens_in_one_request_are_refused(tmp_path: Path) -> None:
    api = CouncilApi(tmp_path)
    both = [("Authorization", f"Bearer {api.token(n, 'see-status')}") for n in "ab"]
    with api.client("") as client:
        status, detail = problem(client.get("/me", headers=both))
    assert (status, detail) == (400, "expected the header Authorization once")
