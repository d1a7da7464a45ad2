"""What is compressed, for whom, and which version it then is."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from api_council import CouncilApi
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from dashboards.web.gzip_coding import prefers_gzip

CATALOGUE = "/measurements?limit=20"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("deflate, br", False),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("gzip; q=0.000", False),
        ("gzip;Q=0.001", True),
        ("identity, gzip;q=0.5", False),
        ("identity;q=0.5, gzip", True),
        ("identity;q=0, *", True),
        ("gzip;q=2", False),
        ("gzip;q=nan", False),
        ("gzip;q=0.1234", False),
        ("gzipped", False),
    ],
)
def test_gzip_is_sent_to_who_prefers_it_and_to_nobody_else(
    header: str, expected: bool
) -> None:
    assert prefers_gzip(header) is expected


@given(st.text(alphabet="gzip*;q=01. ,-x", max_size=30))
def test_any_weights_are_read(header: str) -> None:
    prefers_gzip(header)


def plain_and_small(client: TestClient, path: str) -> tuple[bytes, str, str]:
    """The plain body, and the versions of the plain and the compressed form."""
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as small:
        raw = b"".join(small.iter_raw())
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert len(raw) == int(small.headers["content-length"]) < len(plain.content) / 2
    assert gzip.decompress(raw) == plain.content
    for answer in (plain, small):
        assert "Accept-Encoding" in answer.headers["vary"]
    return plain.content, plain.headers.get("etag", ""), small.headers.get("etag", "")


def test_each_form_of_a_document_has_its_version_and_either_is_known(
    tmp_path: Path,
) -> None:
    with CouncilApi(tmp_path).client() as client:
        _, plain, small = plain_and_small(client, CATALOGUE)
        assert plain != small
        for known in (plain, small, f"W/{small}"):
            for coding, expected in (("identity", plain), ("gzip", small)):
                sent = {"If-None-Match": known, "Accept-Encoding": coding}
                again = client.get(CATALOGUE, headers=sent)
                assert (again.status_code, again.content) == (304, b"")
                assert again.headers["etag"] == expected
                assert "content-encoding" not in again.headers
                assert "Accept-Encoding" in again.headers["vary"]


def test_a_change_may_name_the_version_of_the_compressed_form(tmp_path: Path) -> None:
    with CouncilApi(tmp_path).client() as client:
        [alert] = client.get("/alerts").json()["items"]
        etag = client.get(f"/alerts/{alert['id']}").headers["etag"]
        path = f"/alerts/{alert['id']}/acknowledgement"
        for version, status in (('"x-gzip"', 412), (f'{etag[:-1]}-gzip"', 200)):
            sent = {"If-Match": version}
            answer = client.put(path, json={"who": "Ada"}, headers=sent)
            assert answer.status_code == status


def test_static_files_are_compressed_and_pages_with_a_forms_secret_are_not(
    tmp_path: Path,
) -> None:
    with CouncilApi(tmp_path).client() as client:
        client.base_url = "https://towpath.example"
        plain_and_small(client, "/static/look.css")
        for path in ("/", "/alerts", "/sites/depot"):
            assert "content-encoding" not in client.get(path).headers


def test_a_short_answer_is_sent_as_it_is(tmp_path: Path) -> None:
    with CouncilApi(tmp_path).client() as client:
        answer = client.get("/me", headers={"Accept-Encoding": "gzip"})
        assert "content-encoding" not in answer.headers
        assert "Accept-Encoding" in answer.headers["vary"]
