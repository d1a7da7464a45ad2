"""The REST client reports every failure in one sentence, over real HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import api_doubles
import pytest
import services
from netbox_answers import V3, read_netbox

from collectors.importing import rest_client
from collectors.importing.rest_client import RestClient, SourceError, read_token


async def test_pages_are_fetched_from_the_configured_host() -> None:
    double = api_doubles.netbox(V3)
    data = await read_netbox(double)
    assert len(data.devices) == 8
    assert any("offset=6" in path for path in double.requests)


async def failure_text(double: api_doubles.ApiDouble, token: str = "secret") -> str:
    with pytest.raises(SourceError) as error:
        await read_netbox(double, token)
    return str(error.value)


async def test_a_wrong_token_is_reported_in_one_sentence_without_the_token() -> None:
    double = api_doubles.netbox(V3)
    text = await failure_text(double, "not-this-one")
    assert "rejects the token (401, Invalid token)" in text
    assert "not-this-one" not in text
    assert len(double.requests) == 1


async def test_a_wrong_address_is_reported_in_one_sentence() -> None:
    text = await failure_text(api_doubles.netbox({}))
    assert "has no /api/dcim/sites/ (404, Not found.): is that its address?" in text


async def test_the_error_of_a_failing_server_is_reported() -> None:
    def broken(path: str, query: Any) -> api_doubles.Answer:
        return 500, {"error": "out of  cheese"}

    double = api_doubles.ApiDouble(broken, ("Authorization", "Token secret"), {})
    assert "answered 500, out of cheese" in await failure_text(double)


async def test_half_an_answer_is_retried_and_then_given_up() -> None:
    data = await read_netbox(api_doubles.netbox(V3, break_off=2))
    assert len(data.sites) == 3
    assert "closed the connection half way" in await failure_text(
        api_doubles.netbox(V3, break_off=99)
    )


async def test_a_busy_server_is_retried() -> None:
    assert len((await read_netbox(api_doubles.netbox(V3, busy=2))).sites) == 3


@pytest.mark.parametrize(
    "body", [b"<html>Sign in</html>", b"[]", b'{"results": 7}', b"[" * 100_000, b"\xff"]
)
async def test_an_answer_that_is_not_netboxs_is_reported(body: bytes) -> None:
    double = api_doubles.ApiDouble(
        lambda path, query: (200, body), ("Authorization", "Token secret"), {}
    )
    text = await failure_text(double)
    assert "other than JSON" in text or "has no list of results" in text


async def test_an_answer_that_is_too_large_or_never_whole_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def double() -> api_doubles.ApiDouble:
        return api_doubles.ApiDouble(
            lambda path, query: (200, b" " * 5000),
            ("Authorization", "Token secret"),
            {},
        )

    monkeypatch.setattr(rest_client, "_MAX_BYTES", 4096)
    assert "with more than 0 MB" in await failure_text(double())
    monkeypatch.setattr(rest_client, "read_limited", lambda *_: asyncio.sleep(9))
    monkeypatch.setattr(rest_client, "_LONGEST_ANSWER_S", 0.05)
    assert "gave no whole answer within 0.05 s" in await failure_text(double())


async def test_pages_that_never_end_are_given_up() -> None:
    def same_page(path: str, query: Any) -> api_doubles.Answer:
        return 200, {"next": f"http://x{path}?limit=200", "results": []}

    double = api_doubles.ApiDouble(same_page, ("Authorization", "Token secret"), {})
    assert "never end" in await failure_text(double)


async def test_an_unreachable_server_and_a_bad_url_are_reported() -> None:
    port = services.free_port()
    async with RestClient(
        "NetBox", f"http://127.0.0.1:{port}", {}, pauses_s=(0.0,)
    ) as api:
        with pytest.raises(SourceError, match="cannot be reached"):
            await api.get("/api/")
    with pytest.raises(SourceError, match="is not an address such as"):
        RestClient("NetBox", "netbox.example.org", {})


async def test_a_redirect_is_not_followed_with_the_token() -> None:
    def elsewhere(path: str, query: Any) -> api_doubles.Answer:
        return 302, {}

    double = api_doubles.ApiDouble(elsewhere, ("Authorization", "Token secret"), {})
    assert "redirects to elsewhere: give that address" in await failure_text(double)


def test_a_token_file_without_a_token_is_reported(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    with pytest.raises(SourceError, match="is empty"):
        read_token(tmp_path / "token")
    with pytest.raises(SourceError, match="cannot be read"):
        read_token(tmp_path / "none")
