"""The API for programs: who may do what, pages of lists, versions, and errors."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import council
import msgspec
import pytest
from api_council import DAY_MS, CouncilApi
from starlette.testclient import TestClient
from store_doubles import AnswerStore, MemoryStore

from alerts.api_tokens import ApiTokens, tokens_file
from collectors.server_measurements import CATALOGUE
from dashboards.web.visitors import Right


@pytest.fixture
def api(tmp_path: Path) -> CouncilApi:
    return CouncilApi(tmp_path)


def problem(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    assert set(document) == {"type", "title", "status", "detail"}
    return answer.status_code, document["detail"]


def test_a_program_sees_what_the_pages_show(api: CouncilApi) -> None:
    with api.client() as client:
        sites = {site["id"]: site for site in client.get("/sites").json()["items"]}
        assert sites["depot"]["state"] == "down"
        assert sites["depot"]["devices"] == 2
        assert client.get("/sites/depot").json() == sites["depot"]
        down = client.get("/devices?state=not_answering").json()["items"]
        assert [device["id"] for device in down] == ["dep-sw1", "dep-sw2"]
        assert datetime.fromisoformat(down[0]["polled_at"]).utcoffset() is not None
        [port, *_] = client.get("/devices/dep-sw1/ports?name=Gi1/0/1").json()["items"]
        assert port["in_use_ratio_p95"] == pytest.approx(port["in_bps_p95"] / 1e9)
        status = client.get("/status").json()
        assert status["sites"] == {"down": 1, "working": 2}
        assert status["devices"] == {"answering": 5, "not_answering": 2}
        gateways = client.get("/gateways").json()["items"]
        assert [gateway["id"] for gateway in gateways] == ["vpn-a", "vpn-b"]
        [everybody] = client.get("/groups?by=all").json()["items"]
        assert everybody["agents"] >= 10


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("/sites", Right.SEE_STATUS),
        ("/devices", Right.SEE_DEVICES),
        ("/reports", Right.SEE_REPORTS),
        ("/agents", Right.SEE_FLEET),
        ("/enrolment-tokens", Right.ADMINISTER),
    ],
)
def test_a_token_does_what_its_scopes_allow_and_nothing_else(
    api: CouncilApi, path: str, right: Right
) -> None:
    with api.client(api.token("allowed", right.value)) as client:
        assert client.get(path).status_code == 200
    others = [other.value for other in Right if other is not right]
    with api.client(api.token("others", *others)) as client:
        status, detail = problem(client.get(path))
        assert status == 403
        assert detail == f"the token 'others' does not have the scope {right}"


def test_behind_a_sign_on_the_api_is_not_open_to_visitors_who_get_past_it(
    api: CouncilApi,
) -> None:
    """The proxy lets programs pass, and they need a token: the pages' rule, that it
    decides who reads, would show them everything."""
    with api.client("") as client:
        assert client.get("/sites").status_code == 200
    with api.client("", sign_on_header="X-Remote-User") as client:
        assert problem(client.get("/sites"))[0] == 401
        assert problem(client.get("/events"))[0] == 401
        named = client.get("/sites", headers={"X-Remote-User": "Ada"})
        assert named.status_code == 200
    with api.client(sign_on_header="X-Remote-User") as client:
        assert client.get("/sites").status_code == 200


def test_tokens_that_mean_nothing_any_more_are_refused_with_the_reason(
    api: CouncilApi,
) -> None:
    old = api.token("old", "see-status")
    api.tokens.revoke("old", "ada", api.now_ms)
    with api.client(old) as client:
        answer = client.get("/sites")
        assert problem(answer) == (401, "the token 'old' was revoked")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    with api.client() as client:
        assert client.get("/sites").status_code == 200
        api.now_ms += DAY_MS + 60_000
        assert problem(client.get("/sites"))[0] == 401


@pytest.mark.parametrize(
    "header",
    ["", "Basic YTpi", "Bearer", "Bearer  ", "Bearer x", "Bearer " + "x" * 9999],
)
def test_a_malformed_token_is_refused_and_not_taken_for_none(
    api: CouncilApi, header: str
) -> None:
    with api.client("") as client:
        answer = client.get("/sites", headers={"Authorization": header})
        assert problem(answer)[0] == 401


def test_a_revoked_token_is_refused_from_the_next_request_on(api: CouncilApi) -> None:
    with api.client() as client:
        assert client.get("/me").status_code == 200
        api.tokens.revoke("inventory", "ada", api.now_ms)
        assert client.get("/me").status_code == 401


def test_too_many_requests_wait_and_do_not_count_for_others(api: CouncilApi) -> None:
    limits = {"requests_per_minute": 5, "requests_per_minute_without_token": 8}
    other = api.token("other", "see-status")
    with api.client(api=limits) as client:
        answers = [client.get("/me") for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert answers[0].headers["ratelimit-policy"] == '"caller";q=5;w=60'
        assert answers[0].headers["ratelimit"] == '"caller";r=4;t=12'
        _, detail = problem(answers[-1])
        assert detail == "too many requests: at most 5 a minute"
        assert 0 < int(answers[-1].headers["retry-after"]) <= 12
        theirs = {"Authorization": f"Bearer {other}"}
        assert client.get("/me", headers=theirs).status_code == 200
        # Tokens that are tried out use up the rate of their address.
        guesses = [
            client.get("/me", headers={"Authorization": f"Bearer {n}"})
            for n in range(9)
        ]
        assert {guess.status_code for guess in guesses[:5]} == {401}
        assert guesses[-1].status_code == 429


def test_a_host_has_one_rate_whatever_address_of_its_network_it_uses(
    api: CouncilApi,
) -> None:
    page = api.page(api={"requests_per_minute_without_token": 3})

    def status(address: str) -> int:
        with TestClient(
            page.app, base_url="https://towpath.example", client=(address, 50_000)
        ) as client:
            return client.get("/api/v1/").status_code

    seen = [status(f"2001:db8::{number}") for number in range(5)]
    assert seen == [200, 200, 200, 429, 429]
    assert [status("2001:db8:0:1::1"), status("192.0.2.1")] == [200, 200]


@pytest.mark.parametrize("host", ["evil.example", "", "a b", "towpath.example.evil"])
def test_a_name_that_is_not_towpaths_is_refused_and_says_what_to_set(
    api: CouncilApi, host: str
) -> None:
    with api.client() as client:
        status, detail = problem(client.get("/sites", headers={"Host": host}))
        page = client.get("https://towpath.example/", headers={"Host": host})
        assert (status, page.status_code) == (400, 400)
        assert "add it to web.hosts" in detail
        assert page.text == f"{detail}."
        for good in ("TOWPATH.example:8443", "127.0.0.1"):
            assert client.get("/sites", headers={"Host": good}).status_code == 200


def test_a_good_token_never_has_the_rate_of_those_who_try_tokens(
    api: CouncilApi,
) -> None:
    with api.client(api={"requests_per_minute_without_token": 3}) as client:
        for _ in range(8):
            assert client.get("/me").status_code == 200
            # It is looked up again.
            api.now_ms += 6_000
        guess = {"Authorization": "Bearer guess"}
        answers = [client.get("/me", headers=guess).status_code for _ in range(6)]
        assert answers == [401, 401, 401, 429, 429, 429]
        assert client.get("/me").status_code == 200


def test_a_version_that_a_program_has_is_not_sent_again(api: CouncilApi) -> None:
    with api.client() as client:
        answer = client.get("/sites")
        etag = answer.headers["etag"]
        for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
            again = client.get("/sites", headers={"If-None-Match": known})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == etag
        other = client.get("/sites", headers={"If-None-Match": '"x"'})
        assert other.status_code == 200
        head = client.head("/sites")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == answer.headers["content-length"]
        options = client.options("/sites")
        assert (options.status_code, options.headers["allow"]) == (
            *(204, "GET, HEAD, OPTIONS"),
        )
        # Another website's script reads nothing.
        foreign = client.get("/sites", headers={"Origin": "https://evil.example"})
        assert not [h for h in foreign.headers if h.startswith("access-control")]


def test_every_error_is_a_problem_document_with_one_sentence(api: CouncilApi) -> None:
    with api.client() as client:
        wrong = [
            (client.get("/nothing"), 404),
            (client.get("/sites/atlantis"), 404),
            (client.get("/sites/" + "9" * 5000), 404),
            (client.get("/sites/%ff"), 404),
            (client.get("/sites/a%00b"), 404),
            (client.delete("/sites"), 405),
            (client.request("BREW", "/sites"), 405),
            (client.get("/sites?limit=0"), 400),
            (client.get("/sites?limit=1&limit=2"), 400),
            (client.get("/sites?colour=red"), 400),
            (client.get("/sites?state=%ff"), 400),
            (client.get("/sites?" + "&".join("limit=1" for _ in range(500))), 400),
            (client.get("/sites?cursor=AAAA"), 400),
            (client.post("/silences", content=b"{}"), 415),
            (client.post("/silences", json={}), 422),
            (client.post("/silences", json=[]), 422),
            (post(client, b"{"), 400),
            (post(client, b'{"why": "\xff"}'), 400),
            (post(client, b'{"why": "\\ud800"}'), 400),
            (post(client, b"[" * 60_000), 422),
            (post(client, b" " * 70_000), 413),
            (post(client, b"{}", "gzip"), 415),
        ]
        for answer, expected in wrong:
            status, detail = problem(answer)
            assert status == expected, answer.text
            assert detail
            assert "\n" not in detail
            assert len(detail) < 500
        assert wrong[5][0].headers["allow"] == "GET, HEAD, OPTIONS"


def post(client: Any, body: bytes, coding: str = "identity") -> Any:
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    return client.post("/silences", content=body, headers=headers)


def test_a_store_that_does_not_answer_is_not_an_empty_list(api: CouncilApi) -> None:
    store = AnswerStore(lambda query: [])
    store.broken = "it is down"
    with api.client(store=store) as client:
        for path in ("/sites", "/devices", "/groups", "/sites/depot", SERIES):
            answer = client.get(path)
            assert problem(answer)[0] == 503
            assert answer.headers["retry-after"]
        assert client.get("/status").json()["blind"]


SERIES = "/series?measurement=interface&pick=in_bps.p95"


def test_a_query_of_measurements_is_bounded_and_names_the_catalogue(
    api: CouncilApi,
) -> None:
    with api.client() as client:
        answer = client.get(
            f"{SERIES}&pick=up.last&where=device=dep-sw1&group_by=port&every=1h"
        ).json()
        assert answer["units"] == {"in_bps_p95": "bit/s", "up_last": "flag"}
        assert {row["tags"]["port"] for row in answer["rows"]} > {"Gi1/0/1"}
        assert answer["every_s"] == 3600
        for question, status, said in (
            ("measurement=interfaces&pick=in_bps", 404, "did you mean 'interface'?"),
            ("measurement=interface&pick=in_pbs", 422, "did you mean 'in_bps'?"),
            ("measurement=interface&pick=in_bps.p42", 422, "is none of mean"),
            (f"{SERIES[8:]}&where=dvice=x", 422, "did you mean 'device'?"),
            (f"{SERIES[8:]}&from=2020-01-01T00:00:00Z", 422, "at most 400 days"),
            (f"{SERIES[8:]}&every=1s", 422, "at most 10,000 buckets"),
            (f"{SERIES[8:]}&every=0s", 400, "every: expected"),
            (f"{SERIES[8:]}&from=2026-11-18T00:00:00", 400, "offset from UTC"),
            (f"{SERIES[8:]}&to=1980-01-01T00:00:00Z&from=1990-01-01T00:00:00Z", 422,
             "ends before it begins"),
        ):  # fmt: skip
            got, detail = problem(client.get(f"/series?{question}"))
            assert (got, said in detail) == (status, True), detail


def test_a_query_with_too_many_groups_is_refused_before_it_runs(
    api: CouncilApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Counting(MemoryStore):
        async def query(self, query: Any) -> Any:
            asked.append(query)
            return await super().query(query)

    store = Counting(council.samples(api.now_ms - 3_600_000, api.now_ms))
    with api.client(store=store) as client:
        status, detail = problem(
            client.get(f"{SERIES}&group_by=device&group_by=port&every=10s")
        )
    assert status == 422
    assert detail.startswith("the answer would have more than 100,000 values")
    assert [query.every_ms for query in asked] == [None]


def test_single_laptops_are_never_shown_and_small_counts_need_the_right(
    api: CouncilApi,
) -> None:
    personal = [one.name for one in CATALOGUE if one.personal]
    with api.client() as client:
        listed = client.get("/measurements?limit=1000").json()["items"]
        assert not {one["name"] for one in listed} & set(personal)
        for name in personal:
            answer = client.get(f"/series?measurement={name}&pick=x")
            assert problem(answer)[0] == 403
        assert client.get("/series?measurement=self_team&pick=heard").status_code == 200
    with api.client(api.token("status", "see-status")) as client:
        for name in ("self_team", "self_agents", "interface"):
            answer = client.get(f"/series?measurement={name}&pick=up")
            assert problem(answer)[0] == 403


def test_the_document_describes_every_operation_and_hides_no_error(
    api: CouncilApi,
) -> None:
    with api.client("") as client:
        answer = client.get("/openapi.json")
    document = answer.json()
    assert document["openapi"] == "3.1.0"
    operations = [
        operation for path in document["paths"].values() for operation in path.values()
    ]
    assert len(operations) > 35
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    for operation in operations:
        assert operation["summary"]
        # A wrong token is refused, and tokens may not be readable, even if none is
        # needed.
        assert {"400", "401", "429", "500", "503"} <= set(operation["responses"])


def test_a_file_of_tokens_without_scopes_still_works(tmp_path: Path) -> None:
    api = CouncilApi(tmp_path)
    secret = api.token("old", "administer")
    tokens = ApiTokens(tokens_file(api.path))
    with tokens._opened() as db:
        db.execute("ALTER TABLE token DROP COLUMN scopes")
    [*_, old] = sorted(tokens.tokens(), key=lambda token: token.name)
    assert old.scopes == {"see-status", "act-on-alerts"}
    with api.client(secret) as client:
        assert client.get("/sites").status_code == 200
        assert client.get("/enrolment-tokens").status_code == 403


def test_numbers_and_names_are_of_json_even_if_they_are_hostile(
    tmp_path: Path,
) -> None:
    name = '\u202e<b>"\\\x00\u2028</script>'
    shown = council.estate()
    sites = [
        site.model_copy(update={"name": name}) if site.id == "depot" else site
        for site in shown.sites
    ]
    estate = shown.model_copy(update={"sites": tuple(sites)})
    api = CouncilApi(tmp_path, estate)
    with api.client() as client:
        answer = client.get("/sites/depot")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert msgspec.json.decode(answer.content)["name"] == name
