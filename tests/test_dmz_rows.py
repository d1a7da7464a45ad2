"""What a DMZ node is given, and what is taken from it: pure."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from collectors.batch import Batch, Schema
from collectors.dmz.dmz_leftovers import remove_leftovers
from collectors.dmz.dmz_registry import DmzRegistry
from collectors.dmz.published_registry import (
    ESTATE,
    FORMAT,
    HEAD,
    POLICY,
    PublishedHead,
    PublishedView,
    estate_part,
    parts_of,
    policy_part,
)
from collectors.dmz.pulled_rows import NOT_ENROLLED, NOT_ITS_OWN, take_rows
from collectors.dmz.registry_publisher import RegistryPublisher
from collectors.estate.estate_model import Estate
from collectors.ingest.body_quarantine import BodyQuarantine
from collectors.ingest.ingest_config import PolicyConfig, RegistryConfig
from collectors.ingest.registry import Registry
from collectors.ingest.registry_records import RegistryState, SignIn, secret_digest
from collectors.journal import Quarantine
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.personal_data import Root
from towpath.check import check_config
from towpath.config import TowpathConfig, read

NAMES = st.text("0123456789abcdef-", min_size=1, max_size=12)
LAPTOPS = st.dictionaries(NAMES, st.tuples(NAMES, st.none() | NAMES), max_size=20)


def view_of(state: RegistryState, format: int = FORMAT) -> PublishedView:
    view = PublishedView()
    for key, part in parts_of(state).items():
        view.take(key, part)
    view.take(HEAD, msgspec.json.encode(PublishedHead(1, format)))
    return view


@given(LAPTOPS, NAMES, NAMES)
def test_the_node_lets_in_exactly_those_with_a_right_secret(
    laptops: dict[str, tuple[str, str | None]], name: str, secret: str
) -> None:
    sign_ins = [
        SignIn(
            agent,
            secret_digest(own),
            None if pending is None else secret_digest(pending),
            "hall",
        )
        for agent, (own, pending) in laptops.items()
    ]
    view = view_of(RegistryState(sign_ins, {}, {}))
    assert view.problem == ""
    for agent, secrets in laptops.items():
        for text in (*secrets, secret, ""):
            let_in = view.verify(agent, text or "")
            assert (let_in is not None) == (bool(text) and text in secrets)
    if name not in laptops:
        assert view.verify(name, secret) is None


def test_an_earlier_secret_is_known_as_that_but_lets_nobody_in() -> None:
    state = RegistryState(
        [SignIn("a-1", secret_digest("new"), None, "hall")],
        {},
        {secret_digest("old"): "a-1", secret_digest("gone"): "a-2"},
    )
    view = view_of(state)
    assert view.is_retired("a-1", "old")
    assert view.verify("a-1", "old") is None
    assert not view.is_retired("a-1", "new")
    assert not view.is_retired("a-2", "gone")


def test_one_enrolment_changes_one_part() -> None:
    before = [SignIn(f"a-{n}", b"h", None, "hall") for n in range(500)]
    after = [*before, SignIn("a-new", b"h", None, "hall")]
    first = parts_of(RegistryState(before, {}, {}))
    second = parts_of(RegistryState(after, {}, {}))
    assert len([key for key in first if first[key] != second[key]]) == 1
    assert first.keys() == second.keys()


def test_nobody_is_judged_before_the_whole_list_is_there_or_by_a_newer_one() -> None:
    state = RegistryState([], {}, {})
    half = PublishedView()
    for key, part in list(parts_of(state).items())[:200]:
        half.take(key, part)
    assert "has not come" in half.problem
    assert "newer Towpath" in view_of(state, FORMAT + 1).problem


def test_a_node_learns_no_device_line_or_name_of_the_estate() -> None:
    estate = Estate.model_validate(
        {
            "sites": [{"id": "hall", "name": "Guildhall", "subnets": ["10.1.0.0/16"]}],
            "devices": [{"id": "core-1", "address": "10.1.0.2", "site": "hall"}],
            "teams": [{"id": "t1", "name": "Care line"}],
            "vpn_gateways": [
                {"id": "v1", "name": "Main", "host": "vpn.example", "device": "core-1"}
            ],
        }
    )
    body = estate_part(estate)
    for word in (b"Guildhall", b"core-1", b"10.1.0.2", b"Care line", b"Main"):
        assert word not in body
    view = PublishedView()
    view.take(ESTATE, body)
    assert view.estate.sites[0].subnets == estate.sites[0].subnets
    assert view.estate.vpn_gateways[0].host == "vpn.example"


def policy_events(node_policy: PolicyConfig, folder: Path) -> list[str]:
    """What a node logs when it gets a policy that asks for names."""
    connection = NatsConnection(NatsConfig(), "test")
    registry = DmzRegistry(connection, folder / "orders", node_policy, lambda: 1)
    inside = PolicyConfig(names=("a.example",))
    with capture_logs() as logs:
        asyncio.run(registry._take(POLICY, policy_part(inside)))
    return [entry["event"] for entry in logs]


def test_a_node_says_that_its_policy_is_not_the_one_of_the_inside(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "reflector.secret"
    same = PolicyConfig(names=("a.example",), reflector_secret_file=secret)
    assert policy_events(same, tmp_path) == []
    assert policy_events(PolicyConfig(), tmp_path) == ["policy_differs"]


async def test_without_a_connection_the_registry_is_not_said_to_be_published(
    tmp_path: Path,
) -> None:
    config = RegistryConfig(path=tmp_path / "agents", key_file=tmp_path / "key")
    publisher = RegistryPublisher(
        NatsConnection(NatsConfig(), "test"),
        Registry(config),
        Estate,
        lambda now_ms: (),
        PolicyConfig(),
        lambda: 1,
    )
    with capture_logs() as logs:
        publisher._failures.failed("no answer in time")
        running = asyncio.create_task(publisher.run())
        await asyncio.sleep(0)
        running.cancel()
    assert [entry["event"] for entry in logs] == ["registry_not_published"]


def rows(measurement: str, tag: str, *values: str) -> Batch:
    schema = Schema(measurement, (tag,), ("x",))
    times = list(range(len(values)))
    return Batch("any", 1, schema, (times, list(values), [1.0] * len(values)))


def test_rows_of_laptops_that_are_let_in_are_taken_and_no_others() -> None:
    pulled = take_rows(
        [
            rows("call_path", "agent", "ours", "revoked", "ours"),
            rows("call_path", "other", "a"),
            rows("interface", "device", "core-1"),
            rows("alert", "agent", "ours"),
            rows("self_agents", "home_site", "hall"),
        ],
        "dmz",
        lambda agent: agent == "ours",
    )
    assert [batch.columns[1] for batch in pulled.batches] == [["ours", "ours"]]
    assert pulled.left_out == {NOT_ENROLLED: 2, NOT_ITS_OWN: 3}


def test_a_node_keeps_nothing_aside_of_laptops_that_are_gone(tmp_path: Path) -> None:
    folders: dict[Root, Path] = {
        "journal": tmp_path / "journal",
        "bodies": tmp_path / "aside",
    }
    dead = Quarantine(folders["journal"] / "ingest" / "dead", "dead")
    for sender in ("agent/ours", "agent/erased", "dmz"):
        batch = msgspec.structs.replace(rows("vpn", "agent", "any"), source=sender)
        dead.put(batch, "does not fit", 1)
    BodyQuarantine(folders["bodies"], 9).put(b"erased", "malformed", 1)
    assert remove_leftovers(folders, lambda agent: agent == "ours") == 2
    left = (tmp_path / "journal" / "ingest" / "dead" / "dead.jsonl").read_text()
    assert "erased" not in left
    assert (left.count("agent/ours"), left.count('["dmz"')) == (1, 1)
    assert list(folders["bodies"].iterdir()) == []


async def test_a_node_looks_again_whenever_a_laptop_goes(tmp_path: Path) -> None:
    asked: list[list[bool]] = []
    registry = DmzRegistry(
        NatsConnection(NatsConfig(), "test"),
        tmp_path / "orders",
        PolicyConfig(),
        lambda: 1,
        remove_leftovers=lambda is_enrolled: asked.append([*map(is_enrolled, "abc")]),
    )
    # Before it has the whole list, everybody would seem to have gone.
    await registry._tidy()
    assert asked == []
    for laptops, looks in (("ab", 1), ("ab", 1), ("abc", 1), ("ac", 2)):
        sign_ins = [SignIn(name, b"h", None, "hall") for name in laptops]
        registry.view = view_of(RegistryState(sign_ins, {}, {}))
        await registry._tidy()
        assert len(asked) == looks
    assert asked == [[True, True, False], [True, False, True]]


def test_a_node_speaks_of_itself_under_its_own_name_only() -> None:
    forged = rows("self_journal", "process", "alert", "ingest")
    (taken,) = take_rows([forged], "dmz", lambda agent: False).batches
    assert taken.tag("process") == ["dmz+dmz", "dmz+dmz"]


NODE = """
state = "state"
estate = "estate.toml"
[journal]
kind = "nats"
[ingest]
dmz = true
[ingest.https]
host = "127.0.0.1"
plaintext = true
"""


def node(folder: Path, more: str = "", text: str = NODE) -> TowpathConfig:
    (folder / "estate.toml").write_text("")
    file = folder / "towpath.toml"
    file.write_text(text + more)
    return read(file)


def test_a_node_without_secrets_of_the_inside_is_well(tmp_path: Path) -> None:
    found = check_config(node(tmp_path, "[log]\nlevel = 'debug'\n"))
    assert found.problems == []
    assert not [w for w in found.warnings if "alerts." in w]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ('[snmp]\ncredentials_file = "snmp.toml"\n', "[snmp] is set"),
        ('[store]\nkind = "influxdb"\ntoken_file = "t"\n', "[store] is set"),
        ('[alerts.links]\nkey = { env = "K" }\n', "[alerts] is set"),
        ("[web]\nport = 8099\n", "[web] is set"),
        ('[ingest.mqtt]\nhost = "127.0.0.1"\n', "over HTTPS only"),
    ],
)
def test_a_node_must_not_have_settings_that_may_hold_a_secret(
    tmp_path: Path, more: str, sentence: str
) -> None:
    problems = check_config(node(tmp_path, more)).problems
    assert any(sentence in problem for problem in problems), problems


def test_a_node_must_not_have_the_key_or_the_registry(tmp_path: Path) -> None:
    keys = tmp_path / "state" / "keys"
    keys.mkdir(parents=True)
    (keys / "pseudonym.key").write_text("ab" * 32)
    (tmp_path / "state" / "agents.sqlite").write_text("")
    problems = check_config(node(tmp_path)).problems
    assert len([p for p in problems if "remove it" in p]) == 2


def test_a_node_must_not_know_devices(tmp_path: Path) -> None:
    config = node(tmp_path)
    (tmp_path / "estate.toml").write_text(
        '[[sites]]\nid = "a"\nname = "A"\n'
        '[[devices]]\nid = "d"\naddress = "10.0.0.1"\nsite = "a"\n'
    )
    problems = check_config(config).problems
    assert any("expected an empty file" in problem for problem in problems)


def test_a_node_runs_the_role_ingest_and_writes_to_a_stream(tmp_path: Path) -> None:
    text = NODE.replace('"nats"', '"files"')
    problems = check_config(node(tmp_path, text=text)).problems
    assert any('expected "nats"' in problem for problem in problems)


def test_a_dmz_node_and_a_site_node_have_different_names() -> None:
    nodes = {"dmz_nodes": {"depot": {}}, "site_nodes": {"depot": {}}}
    with pytest.raises(ValueError, match="'depot' is in dmz_nodes and in site_nodes"):
        TowpathConfig.model_validate({"ingest": nodes})


def test_a_council_has_dmz_nodes_or_is_one() -> None:
    with pytest.raises(ValueError, match="never both"):
        TowpathConfig.model_validate({"ingest": {"dmz": True, "dmz_nodes": {"a": {}}}})
