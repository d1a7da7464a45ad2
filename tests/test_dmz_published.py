"""What a DMZ node is given, and what it must not have: pure."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from alerts.alert import Alert
from alerts.staff_incidents import incidents, incidents_by_site
from collectors.dmz.dmz_registry import DmzRegistry
from collectors.dmz.published_registry import (
    ESTATE,
    FORMAT,
    HEAD,
    INCIDENTS,
    POLICY,
    PublishedHead,
    PublishedView,
    estate_part,
    incidents_part,
    parts_of,
    policy_part,
)
from collectors.dmz.registry_publisher import PublishedSources, RegistryPublisher
from collectors.estate.estate_model import Estate
from collectors.ingest.ingest_config import IngestConfig, PolicyConfig, RegistryConfig
from collectors.ingest.laptop_policies import LaptopPolicies
from collectors.ingest.registry import Registry
from collectors.ingest.registry_records import (
    EnrolledAgent,
    RegistryState,
    SignIn,
    secret_digest,
)
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from towpath.check import check_config
from towpath.config import TowpathConfig, read

NAMES = st.text("0123456789abcdef-", min_size=1, max_size=12)
LAPTOPS = st.dictionaries(NAMES, st.tuples(NAMES, st.none() | NAMES), max_size=20)


def view_of(state: RegistryState, format: int = FORMAT) -> PublishedView:
    view = PublishedView()
    for key, part in parts_of(state).items():
        view.take(key, part)
    view.take(POLICY, policy_part(PolicyConfig()))
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


RING = st.builds(
    lambda some: {name: value for name, value in some.items() if value is not None},
    st.fixed_dictionaries(
        {
            "report_s": st.none() | st.integers(10, 900),
            "names": st.none() | st.just(["a.example"]),
            "cadence_s": st.none() | st.just({"call_path": 60}),
            "teams_relay": st.none() | st.just({"packets": 7}),
        }
    ),
)


@given(RING, st.dictionaries(st.sampled_from(["a", "b"]), RING))
def test_a_node_measures_by_the_policy_of_the_inside_for_every_ring(
    common: dict[str, object], rings: dict[str, object]
) -> None:
    secret = Path("/etc/towpath/reflector.secret")
    text = {**common, "rings": rings, "stop_key": "ab" * 32}
    inside = PolicyConfig.model_validate({**text, "reflector_secret_file": secret})
    view = PublishedView()
    view.take(POLICY, policy_part(inside))
    assert view.policy is not None
    assert view.policy.stop_key == inside.stop_key
    assert view.policy.reflector_secret_file is None
    for ring in ("", *rings):
        there, here = inside.for_ring(ring), view.policy.for_ring(ring)
        both = [
            p.model_dump(exclude={"rings", "reflector_secret_file"})
            for p in (there, here)
        ]
        assert both[0] == both[1]
    # The same text gives the same version of the policy, so no laptop fetches it twice.
    laptop = EnrolledAgent("a-1", "hall", 0, 0, 0, ring="a")
    config = IngestConfig(registry=RegistryConfig(path=Path("agents")), policy=inside)
    versions = {
        LaptopPolicies(
            config, Estate, lambda: 1, policy=lambda used=used: used
        ).version(laptop)
        for used in (inside, view.policy)
    }
    assert len(versions) == 1


def test_a_policy_that_a_node_does_not_know_leaves_the_one_before() -> None:
    view = view_of(RegistryState([], {}, {}))
    before = view.policy
    with pytest.raises(ValueError, match="new_probe_s"):
        view.take(POLICY, b'{"new_probe_s": 5}')
    assert view.policy is before


def test_laptops_hear_of_incidents_at_their_sites_by_the_ids_of_these() -> None:
    alerts = [
        alert("line_down", "hall", 30),
        alert("vpn_slow_everywhere", "", 20),
        alert("line_down", "library", 10),
    ]
    view = view_of(RegistryState([], {}, {}))
    # As the inside makes them for a node: it gives the function no names.
    view.take(INCIDENTS, incidents_part(incidents_by_site(alerts, Estate())))
    assert [incident.says for incident in view.incidents({"hall"})] == [
        "The VPN is slow for many of the council's staff",
        "The line of hall is down",
    ]
    assert len(view.incidents({""})) == 1
    known = incidents(alerts, Estate(), {"", "library"})
    assert view.incidents({"library"}) == known


def alert(rule: str, site: str, since_ms: int) -> Alert:
    return Alert(rule, {"site": site}, "warning", "firing", since_ms, site)


def registry_of(head_ms: int, now_ms: int, now_s: list[float]) -> DmzRegistry:
    """What a node knows that has read everything just now."""
    connection = NatsConnection(NatsConfig(), "test")
    registry = DmzRegistry(
        connection, Path("orders"), 7, lambda: now_ms, lambda: now_s[0]
    )
    parts = {
        **parts_of(RegistryState([SignIn("a-1", b"h", None, "hall")], {}, {})),
        POLICY: policy_part(PolicyConfig()),
        HEAD: msgspec.json.encode(PublishedHead(head_ms)),
    }
    for key, body in parts.items():
        asyncio.run(registry._take(key, body))
    return registry


def test_after_a_week_without_the_inside_nobody_is_let_in_until_it_is_back() -> None:
    now_s = [0.0]
    registry = registry_of(0, 0, now_s)
    now_s[0] = 6.9 * 86_400
    assert registry.problem == ""
    now_s[0] = 7.5 * 86_400
    assert registry.problem == (
        "the list of laptops is 7.5 days old: expected the inside to renew it"
    )
    [row] = [registry.sample("ingest", 1)]
    assert (row.fields["ready"], row.fields["list_age_s"]) == (0, 7.5 * 86_400)
    asyncio.run(registry._take(HEAD, msgspec.json.encode(PublishedHead(10))))
    assert registry.problem == ""


@pytest.mark.parametrize("ahead_days", [-30, 30])
def test_a_wrong_clock_shuts_nobody_out_for_longer_than_a_moment(
    ahead_days: int,
) -> None:
    now_s = [0.0]
    registry = registry_of(0, ahead_days * 86_400_000, now_s)
    # The inside says every ten seconds that it is there; that needs no wall clock.
    asyncio.run(registry._take(HEAD, msgspec.json.encode(PublishedHead(10_000))))
    assert registry.problem == ""
    assert registry.age_s == 0


async def test_without_a_connection_the_registry_is_not_said_to_be_published(
    tmp_path: Path,
) -> None:
    config = RegistryConfig(path=tmp_path / "agents", key_file=tmp_path / "key")
    publisher = RegistryPublisher(
        NatsConnection(NatsConfig(), "test"),
        Registry(config),
        PublishedSources(Estate, lambda now_ms: ()),
        lambda: 1,
    )
    with capture_logs() as logs:
        publisher._failures.failed("no answer in time")
        running = asyncio.create_task(publisher.run())
        await asyncio.sleep(0)
        running.cancel()
    assert [entry["event"] for entry in logs] == ["registry_not_published"]


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
        (
            "[ingest.policy]\nreport_s = 900\n",
            "ingest.policy.report_s: a DMZ node gets",
        ),
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
