"""`towpath fleet stop` and its neighbours, and the rings of a policy."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from ingest_council import opened_registry
from pydantic import ValidationError
from typer.testing import CliRunner

from collectors.config_errors import explain
from collectors.estate import Estate
from collectors.ingest.enrolment_tokens import TokenWish
from collectors.ingest.ingest_config import PolicyConfig
from collectors.ingest.policies import agent_policy
from collectors.ingest.rings import ring_states
from collectors.ingest.tag_limits import allowed_targets
from probes.wire.clock import wall_ms
from probes.wire.report import Enrolment
from towpath.cli import app

SETTINGS = """
state = "{folder}"
estate = "{folder}/estate.toml"
[ingest.policy]
stop_key = "{key}"
[ingest.policy.rings.pilot]
hurry = false
"""


class Council:
    def __init__(self, folder: Path) -> None:
        self.folder, self.key = folder, folder / "stick" / "stop.key"
        self.config = folder / "towpath.toml"
        (folder / "estate.toml").write_text('[[sites]]\nid = "hall"\nname = "Hall"\n')
        made = self.run("stop-key", str(self.key), config=False)
        assert made.exit_code == 0, made.output
        self.write(made.output.rpartition('stop_key = "')[2].split('"')[0])

    def write(self, public: str) -> None:
        self.config.write_text(SETTINGS.format(folder=self.folder, key=public))

    def run(self, *arguments: str, config: bool = True) -> Result:
        words = ["fleet", *arguments, *(["-c", str(self.config)] if config else [])]
        return CliRunner().invoke(app, words)

    def sign(self, kind: str, *arguments: str) -> Result:
        return self.run(kind, "--key", str(self.key), *arguments)


@pytest.fixture
def council(tmp_path: Path) -> Council:
    return Council(tmp_path)


def test_a_stop_is_listed_until_a_resume(council: Council) -> None:
    assert "nothing is stopped" in council.run("stops").output
    done = council.sign("stop", "--ring", "pilot", "--why", "calls break")
    assert (done.exit_code, "the ring pilot" in done.output) == (0, True)
    listed = council.run("stops").output
    assert "stopped everything for the ring pilot" in listed
    assert "calls break" in listed
    assert council.sign("resume").exit_code == 0
    listed = council.run("stops").output
    assert "resumed everything for all laptops" in listed
    assert "stopped" not in listed
    newest, older = council.run("audit").output.splitlines()
    assert newest.endswith("order given      resumed everything for all laptops")
    assert older.endswith("order given      stopped everything for the ring pilot")


def test_an_order_is_signed_elsewhere_and_given_to_the_server(
    council: Council, tmp_path: Path
) -> None:
    order = tmp_path / "order"
    words = ("stop", "--key", str(council.key), "--why", "x", "--to", str(order))
    assert council.run(*words, config=False).exit_code == 0
    assert "nothing is stopped" in council.run("stops").output
    assert council.run("order", str(order)).exit_code == 0
    assert "stopped everything for all laptops" in council.run("stops").output
    order.write_text(order.read_text()[:200])
    cut = council.run("order", str(order))
    assert (cut.exit_code, "damaged" in cut.output) == (1, True)


def test_the_key_is_changed_with_the_old_one(council: Council, tmp_path: Path) -> None:
    assert council.sign("stop", "--why", "x").exit_code == 0
    new = tmp_path / "new.key"
    changed = council.run("stop-key", str(new), "--replaces", str(council.key))
    assert changed.exit_code == 0, changed.output
    council.write(changed.output.rpartition('stop_key = "')[2].split('"')[0])
    assert "stop key replaced" in council.run("audit").output
    listed = council.run("stops").output
    assert "changed the key" in listed
    assert "stopped everything" in listed
    wrong = council.sign("resume")
    assert (wrong.exit_code, "is not the key" in wrong.output) == (2, True)
    council.key = new
    assert council.sign("resume").exit_code == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("stop", "--why", "x", "--probe", "wbe"), "did you mean 'web'"),
        (("stop", "--why", "x", "--ring", "pliot"), "did you mean 'pilot'"),
        (("stop", "--why", "x", "--days", "91"), "at most 90"),
        (("stop", "--why", " "), "is empty"),
        (("stop", "--why", "evil\u202etxt"), "cannot be seen"),
        (("stop", "--why", "one\nx=2"), "cannot be seen"),
        (("stop", "--why", "x" * 201), "not possible"),
        (("resume", "--ring", "'; DROP"), "no ring is called"),
    ],
)
def test_an_order_that_cannot_be_given_is_one_sentence(
    council: Council, words: tuple[str, ...], says: str
) -> None:
    done = council.sign(*words)
    assert (done.exit_code, says in done.output) == (2, True), done.output
    assert len(done.output.strip().splitlines()) == 1


def test_a_key_that_is_none_and_a_server_without_one_are_sentences(
    council: Council,
) -> None:
    council.write("")
    assert "is not set" in council.sign("stop", "--why", "x").output
    council.key.write_text("rubbish")
    assert "is no stop key" in council.sign("resume").output
    taken = council.run("stop-key", str(council.key), config=False)
    assert "never overwritten" in taken.output


def test_a_file_of_orders_cut_in_the_middle_is_listed_as_that(council: Council) -> None:
    for ring in ("", "pilot"):
        assert council.sign("stop", "--why", "x", "--ring", ring).exit_code == 0
    path = council.folder / "stop-orders"
    path.write_text(path.read_text()[:-30])
    listed = council.run("stops").output
    assert "stopped everything for all laptops" in listed
    assert "does nothing: it is damaged" in listed


def test_rings_are_listed_with_their_laptops_and_what_is_different(
    council: Council,
) -> None:
    now_ms = wall_ms()
    with opened_registry(council.folder) as registry:
        for number, ring in enumerate(("pilot", "pilot", "early", "")):
            wish = TokenWish("hall", 1, 1, ring=ring)
            token = registry.admin.add_token(wish, now_ms, "test")
            enrolment = Enrolment(token, f"device {number}")
            who = registry.identities.enrol(enrolment, now_ms)
            if number:
                registry.mark_seen(who.agent, now_ms)
    lines = council.run("rings").output.splitlines()
    assert len(lines) == 3
    assert "early" in lines[0]
    assert "no settings name it" in lines[0]
    assert "2 laptops, 1 in the last day (2 on none); hurry = false" in lines[1]
    assert lines[2].startswith("(no ring)")


def test_a_token_of_a_ring_that_no_settings_name_is_made_and_said(
    council: Council,
) -> None:
    made = council.run("token", "--site", "hall", "--ring", "pliot")
    assert made.exit_code == 0
    assert "did you mean 'pilot'" in made.output
    good = council.run("token", "--site", "hall", "--ring", "pilot")
    assert len(good.output.strip().splitlines()) == 1


def test_a_ring_changes_single_settings_and_keeps_the_others() -> None:
    config = PolicyConfig.model_validate(
        {
            "names": ["a.example"],
            "cadence_s": {"web": 100, "path": 200},
            "teams_relay": {"host": "relay.example", "packets": 10},
            "services": [{"name": "one", "url": "https://one.example"}],
            "rings": {
                "pilot": {
                    "cadence_s": {"web": 50},
                    "teams_relay": {"packets": 20},
                    "services": [{"name": "two", "url": "https://two.example"}],
                    "hurry": False,
                }
            },
        }
    )
    policy = agent_policy(Estate(), config.for_ring("pilot"), "hall")
    assert policy.cadence_s == {"web": 50, "path": 200}
    assert (policy.teams_relay.host, policy.teams_relay.packets) == (
        "relay.example",
        20,
    )
    assert policy.services[0].name == "two"
    assert (policy.hurry, policy.names) == (False, ("a.example",))
    other = agent_policy(Estate(), config.for_ring("rest"), "hall")
    assert other == agent_policy(Estate(), config, "hall")
    assert other.hurry
    # Results of both are stored.
    assert {"one", "two"} <= allowed_targets(Estate(), config)["web"]
    changes = {ring.name: ring.changes for ring in ring_states((), config, 0)}
    assert changes["pilot"]["cadence_s.web"] == "50"
    assert changes["pilot"]["services"] == "1 in the list"
    assert changes[""] == {}


@given(st.dictionaries(st.sampled_from(["web", "path", "vpn"]), st.integers(0, 9)))
def test_a_ring_without_settings_gets_what_all_get(cadence_s: dict[str, int]) -> None:
    config = PolicyConfig.model_validate(
        {"cadence_s": cadence_s, "rings": {"pilot": {}}}
    )
    merged = agent_policy(Estate(), config.for_ring("pilot"), "")
    assert merged == agent_policy(Estate(), config, "")


@pytest.mark.parametrize(
    ("rings", "says"),
    [
        ({"pilot": {"huryr": True}}, "did you mean 'hurry'"),
        ({"pilot": {"report_s": "soon"}}, "rings.pilot.report_s"),
        ({"pilot": {"stop_key": "x"}}, "unknown key"),
        ({"Pilot 1": {}}, "rings"),
        ({"pilot": {"closes": "09:00"}}, "ring pilot"),
    ],
)
def test_a_wrong_ring_is_one_sentence(rings: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PolicyConfig.model_validate(
            {"opens": "09:00", "closes": "17:00", "rings": rings}
        )
    findings = [f"{path} {text}" for path, text in explain(caught.value, PolicyConfig)]
    assert len(findings) == 1
    assert says in findings[0]
