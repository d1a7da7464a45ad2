"""What programs do through the API: once, by whom, on which version, and audited."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from api_council import CouncilApi, api_sources
from structlog.testing import capture_logs
from test_web_api import problem
from typer.testing import CliRunner

from alerts.alert_access import list_silences, open_alerts
from collectors.ingest import Registry
from collectors.support_codes import CodeRefused, SupportCodes, support_codes_file
from collectors.written_answers import count_answers, erase_answers, read_answers
from dashboards.web.api.written_requests import WrittenRequests, written_file
from dashboards.web.sign_in.access_audit import AccessAudit
from dashboards.web.sign_in.local_users import LocalUsers
from dashboards.web.visitors import Role
from probes.wire.report import Enrolment
from towpath.cli import app


@pytest.fixture
def api(tmp_path: Path) -> CouncilApi:
    return CouncilApi(tmp_path)


FORM = re.compile(r'name="form_token" value="([^"]+)"')
PASSWORD = "three words of ours"
SILENCE = {"site": "depot", "lasting_s": 3600, "why": "works", "who": "Ada"}


def test_an_alert_is_acknowledged_and_the_first_one_counts(api: CouncilApi) -> None:
    other = api.token("other", "act-on-alerts")
    with api.client() as client:
        [alert] = client.get("/alerts").json()["items"]
        address = f"/alerts/{alert['id']}"
        done = client.put(f"{address}/acknowledgement", json={"who": "Ada", "why": "!"})
        assert done.json()["acknowledged_by"] == "Ada (API: inventory)"
        # Said again it is no conflict; said by another it is.
        again = client.put(f"{address}/acknowledgement", json={"who": "Ada"})
        assert again.status_code == 200
        theirs = {"Authorization": f"Bearer {other}"}
        late = client.put(f"{address}/acknowledgement", json={}, headers=theirs)
        assert problem(late) == (
            *(409, "Ada (API: inventory) has acknowledged this already"),
        )
        assert client.get(address).json()["acknowledged_why"] == "!"
    [shown] = open_alerts(api.path)
    assert shown.acknowledged_by == "Ada (API: inventory)"
    assert [entry.outcome for entry in api.tokens.audit()] == [
        "Ada (API: inventory) has acknowledged this already",
        "done",
        "done",
    ]


def test_a_version_that_has_changed_is_not_written_over(api: CouncilApi) -> None:
    with api.client() as client:
        made = client.post("/silences", json=SILENCE)
        address = made.headers["location"].removeprefix("/api/v1")
        etag = client.get(address).headers["etag"]
        stale = client.delete(address, headers={"If-Match": '"other"'})
        assert problem(stale)[0] == 412
        assert client.delete(address, headers={"If-Match": etag}).status_code == 204
        assert problem(client.delete(address))[0] == 404
        assert client.get("/silences").json()["items"] == []
    assert api.tokens.audit()[0].outcome == f"there is no silence '{address[10:]}'"


def test_a_request_that_is_sent_again_is_done_once(api: CouncilApi) -> None:
    key = {"Idempotency-Key": "8e03978e"}
    with api.client() as client:
        first = client.post("/silences", json=SILENCE, headers=key)
    # Also after a restart.
    with api.client() as client:
        second = client.post("/silences", json=SILENCE, headers=key)
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json() == second.json()
        assert first.headers["location"] == second.headers["location"]
        other = client.post("/silences", json={**SILENCE, "site": "hall"}, headers=key)
        assert problem(other)[0] == 422
        # Of another program it is another key.
        theirs = {"Authorization": f"Bearer {api.token('two', 'act-on-alerts')}"}
        third = client.post("/silences", json=SILENCE, headers={**key, **theirs})
        assert third.json()["id"] != first.json()["id"]
        # Nothing was done: the key is free.
        refused = client.post("/silences", json={**SILENCE, "site": "x"}, headers={
            "Idempotency-Key": "b"})  # fmt: skip
        assert problem(refused)[0] == 422
        done = client.post("/silences", json=SILENCE, headers={"Idempotency-Key": "b"})
        assert done.status_code == 201
        for wrong in ("", "x" * 101, "a b", "a\tb"):
            answer = client.post(
                "/silences", json=SILENCE, headers={"Idempotency-Key": wrong}
            )
            assert problem(answer)[0] == 400
    assert len(list_silences(api.path, api.now_ms)) == 3


def test_a_request_whose_end_is_not_known_is_not_done_again(
    api: CouncilApi,
) -> None:
    with api.client() as client, pytest.MonkeyPatch.context() as patch:
        # As if killed before the answer was kept.
        patch.setattr(WrittenRequests, "end", lambda *values: None)
        headers = {"Idempotency-Key": "killed"}
        assert client.post("/silences", json=SILENCE, headers=headers).is_success
        status, detail = problem(
            client.post("/silences", json=SILENCE, headers=headers)
        )
    assert status == 409
    assert "was interrupted" in detail


@pytest.mark.parametrize(
    "wrong",
    [
        {"lasting_s": 59},
        {"lasting_s": 31 * 86_400 + 1},
        {"lasting_s": "3600"},
        {"lasting_s": 10**400},
        {"site": "", "device": ""},
        {"site": "dpot"},
        {"why": ""},
        {"why": "x\ny"},
        {"why": "\u202ehsup"},
        *({"why": f"push{hidden}"} for hidden in "\n\u061c\u2028\u2029\u2067"),
        {"who": "Grace\n"},
        {"who": "x" * 81},
        {"colour": "red"},
    ],
)
def test_a_silence_that_cannot_be_meant_is_refused(
    api: CouncilApi, wrong: dict[str, Any]
) -> None:
    with api.client() as client:
        assert problem(client.post("/silences", json={**SILENCE, **wrong}))[0] == 422
    assert list_silences(api.path, api.now_ms) == []


def test_maintenance_is_planned_once_or_again_and_again(api: CouncilApi) -> None:
    work = {"site": "depot", "why": "patches", "start": "2026-11-20 22:00"}
    with api.client() as client:
        once = client.post("/maintenance", json={**work, "lasts": "2h"})
        assert once.status_code == 201
        weekly = {**work, "lasts": "1h", "rrule": "FREQ=WEEKLY"}
        assert client.post("/maintenance", json=weekly).status_code == 201
        [window] = client.get("/maintenance-windows").json()["items"]
        assert (window["rrule"], window["scope"]) == ("FREQ=WEEKLY", {"site": "depot"})
        planned = client.get("/silences").json()["items"]
        assert len(planned) > 3
        assert all(silence["is_planned"] for silence in planned)
        path = f"/maintenance-windows/{window['id']}"
        assert client.delete(path).status_code == 204
        assert len(client.get("/silences").json()["items"]) == 1
        both = client.post("/maintenance", json={**work, "lasts": "x", "end": "y"})
        assert problem(both)[0] == 422
        # No calendar has these, so no list could show them.
        for never in (
            {"start": "9999-12-31 23:00", "lasts": "2h"},
            {"end": "9999-12-31 23:59"},
            {"start": "0001-01-01 00:00", "end": "2026-12-01 00:00"},
        ):
            status, detail = problem(
                client.post("/maintenance", json={**work, **never})
            )
            assert status == 422
            assert detail.endswith("expected a year from 2000 to 2099")
        late = client.post("/maintenance", json={**work, "end": "2027-01-02 06:00"})
        assert "to Sat 2 Jan 2027 06:00" in late.json()["planned"][0]
        assert client.get("/silences").status_code == 200


def test_an_administrators_program_looks_after_laptops(
    api: CouncilApi,
) -> None:
    with api.client() as client:
        wish = {
            "site": "depot",
            "uses": 3,
            "ring": "pilot",
            "sources": ["192.0.2.0/24"],
        }
        key = {"Idempotency-Key": "t"}
        made = client.post("/enrolment-tokens", json=wish, headers=key).json()
        assert made["secret"].startswith("tow-")
        # The secret is not kept for those who ask again, nor listed.
        again = client.post("/enrolment-tokens", json=wish, headers=key).json()
        assert again == {**made, "secret": None}
        assert made["secret"].encode() not in written_file(api.path).read_bytes()
        path = f"/enrolment-tokens/{made['id']}"
        assert client.delete(path).status_code == 204
        [token] = client.get("/enrolment-tokens").json()["items"]
        assert token["state"] == "withdrawn"
        agent = enrol(api)
        path = f"/agents/{agent}"
        assert client.get(path).json()["state"] == "enrolled"
        codes = SupportCodes(support_codes_file(registry_path(api)), lambda: api.now_ms)
        code = codes.make(agent).code
        revoked = client.put(f"{path}/revocation", json={"why": "lost"})
        assert revoked.json()["state"] == "revoked"
        with pytest.raises(CodeRefused):
            codes.open(code, "a", "Ada")
        assert client.get("/fleet").json()["states"] == {"revoked": 1}
        stale = client.delete(f"{path}/revocation", headers={"If-Match": '"x"'})
        assert problem(stale)[0] == 412
        assert client.delete(f"{path}/revocation").status_code == 204
        assert client.get(path).json()["state"] == "enrolled"
        lost = client.put(f"{path}/place", json={"team": "nobody", "ring": ""})
        assert problem(lost)[0] == 422


def test_what_programs_did_to_a_laptop_can_be_erased(api: CouncilApi) -> None:
    agent, kept = enrol(api), written_file(api.path)
    with api.client() as client, capture_logs() as logs:
        key = {"Idempotency-Key": "k"}
        path = f"/agents/{agent}/revocation"
        assert client.put(path, json={"why": "lost"}, headers=key).status_code == 200
        assert client.delete(f"/agents/{agent}x/revocation").status_code == 404
    with Registry(api_sources(api.path).ingest.registry) as registry:
        newest = registry.admin.audit()[0]
    assert (newest.who, newest.what) == ("inventory", "laptop revoked")
    assert newest.subject == agent
    # The audit of the API and the log have neither its name nor a wrong one.
    assert [entry.about for entry in api.tokens.audit()] == ["a laptop", "a laptop"]
    assert agent not in f"{logs}{api.tokens.audit()}"
    (answer,) = read_answers(kept, agent)
    assert answer["caller"] == "token inventory"
    assert '"state":"revoked"' in str(answer["answer"])
    assert count_answers(kept, agent) == erase_answers(kept, agent) == 1
    assert agent.encode() not in kept.read_bytes()


def registry_path(api: CouncilApi) -> Path:
    return api_sources(api.path).ingest.registry.path


def enrol(api: CouncilApi) -> str:
    """The pseudonym of a laptop that has enrolled."""
    with Registry(api_sources(api.path).ingest.registry) as registry:
        token = registry.admin.make_token("depot", 1, 7, api.now_ms)
        laptop = Enrolment(token=token, device="d" * 32)
        return registry.identities.enrol(laptop, api.now_ms).agent


def test_nobody_writes_without_a_token(api: CouncilApi) -> None:
    with api.client("", sign_on_header="X-Remote-User") as client:
        for headers in ({}, {"X-Remote-User": "Ada"}):
            answer = client.post("/silences", json=SILENCE, headers=headers)
            assert problem(answer)[0] in (401, 403)
    assert list_silences(api.path, api.now_ms) == []


def test_tokens_are_made_listed_and_revoked_by_commands(tmp_path: Path) -> None:
    (tmp_path / "estate.toml").write_text('[[sites]]\nid = "hall"\nname = "Hall"\n')
    settings = tmp_path / "towpath.toml"
    settings.write_text(
        f'council = "X"\nstate = "{tmp_path}/state"\n'
        f'estate = "{tmp_path}/estate.toml"\n'
    )

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["api", "token", *words, "-c", str(settings)])
        return done.exit_code, done.output

    code, secret = run("new", "wiki", "--scope", "see-reports", "--valid", "30d")
    assert (code, secret.count("\n")) == (0, 1)
    assert run("new", "b", "--scope", "see-report")[0] == 2
    assert "did you mean 'see-reports'?" in run("new", "b", "--scope", "see-report")[1]
    assert "never used, by" in run("list")[1]
    assert run("list")[1].strip().endswith(": see-reports")
    assert run("revoke", "wiki")[0] == 0
    assert "withdrawn" in run("list")[1]


def test_a_page_may_write_for_who_has_signed_in_and_another_website_may_not(
    api: CouncilApi, tmp_path: Path
) -> None:
    file = tmp_path / "sign-in.sqlite"
    LocalUsers(file, lambda: api.now_ms).add("ada", [Role.ENGINEER], PASSWORD)
    settings = {"local_users": True, "file": file}
    with api.client("", sign_in=settings) as client:
        site = "https://towpath.example/"
        assert problem(client.get("/sites"))[0] == 401
        page = client.get(f"{site}sign-in").text
        fields = {"name": "ada", "password": PASSWORD, "next": "/"}
        [form] = set(FORM.findall(page))
        client.post(f"{site}sign-in", data={**fields, "form_token": form})
        assert client.get("/me").json()["name"] == "ada"
        assert problem(client.post("/silences", json=SILENCE))[0] == 403
        form = FORM.findall(client.get(f"{site}").text)[0]
        own = {"X-Form-Token": form}
        foreign = {**own, "Sec-Fetch-Site": "cross-site"}
        late = client.post("/silences", json=SILENCE, headers=foreign)
        assert problem(late)[0] == 403
        assert client.post("/silences", json=SILENCE, headers=own).status_code == 201
        assert problem(client.get("/enrolment-tokens"))[0] == 403
    [silence] = list_silences(api.path, api.now_ms)
    assert silence.who == "ada"
    # In the same record as what people do on pages.
    entries, _ = AccessAudit(file, lambda: api.now_ms).entries(10)
    assert ("ada", "add_silence", "site depot", "done") in [
        (entry.who, entry.action, entry.about, entry.outcome) for entry in entries
    ]
    assert api.tokens.audit() == []
