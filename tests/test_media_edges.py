"""The servers that take a team's calls are measured by its laptops, and no others."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
from one_answer import serving
from pydantic import ValidationError
from services import free_port
from udp_echo import echo

from collectors.estate.estate_model import Estate, Team
from collectors.ingest.certificate import make_certificates
from collectors.ingest.ingest_config import IngestConfig, PolicyConfig
from collectors.ingest.laptop_policies import LaptopPolicies
from collectors.ingest.registry_records import EnrolledAgent
from collectors.ingest.tag_limits import allowed_targets
from probes.measure.media_edge import measure
from probes.wire.catalogue import check_sample
from probes.wire.failure import Outcome
from probes.wire.measurements import CATALOGUE
from probes.wire.path_probes import MEDIA_EDGE, MEDIA_PACKETS
from probes.wire.policy import MediaEdgeAt, Policy
from probes.wire.probe import RunConditions
from probes.wire.report import Report, Result, Whereabouts, samples

ESTATE = Estate.model_validate(
    {
        "teams": [
            {
                "id": "calls",
                "media_edges": [
                    {"id": "london", "host": "a.example", "port": 3478, "over": "stun"},
                    {"id": "api", "host": "b.example", "port": 443, "over": "tls"},
                ],
            },
            {"id": "benefits"},
        ]
    }
)


async def ask(over: str, port: int, tls: ssl.SSLContext | None = None) -> Result:
    edge = MediaEdgeAt("london", "localhost", port, over)  # type: ignore[arg-type]
    result = await measure(
        edge, trust=lambda: tls or ssl.create_default_context(), now_ms=lambda: 7,
        interval_ms=1.0,
    )  # fmt: skip
    assert (result.probe, result.target, result.time_ms) == ("media_edge", "london", 7)
    report = Report(1, "r", "a", 1, "s", Whereabouts(), (result,))
    for sample in samples(report, "hall", "isp"):
        check_sample(sample, CATALOGUE)
    return result


async def test_an_edge_that_answers_stun_shows_delay_jitter_and_loss() -> None:
    def every_other(packet: bytes, count: int) -> list[bytes]:
        return [b"\x01\x01\0\0" + packet[4:20]] if count % 2 else []

    async with echo(every_other) as port:
        result = await ask("stun", port)
    assert result.outcome is Outcome.OK
    assert result.values["loss_ratio"] == 0.5
    assert result.values.keys() == {"rtt_ms", "rtt_p95_ms", "jitter_ms", "loss_ratio"}
    refused = await ask("stun", free_port(socket.SOCK_DGRAM))
    assert (refused.outcome, refused.values) == (Outcome.REFUSED, {})


def cost_bytes(*edges: MediaEdgeAt) -> int:
    conditions = RunConditions(Policy(media_edges=edges), False, 0, 0, 28)
    return MEDIA_EDGE.cost_bytes(conditions)


async def test_an_edge_without_stun_is_measured_by_connections_and_a_handshake(
    tmp_path: Path,
) -> None:
    made = make_certificates(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.certificate, made.private_key)
    async with serving(b"", tls) as port:
        trusted = ssl.create_default_context(cafile=str(made.authority))
        results = [await ask("tcp", port), await ask("tls", port, trusted)]
        untrusted = await ask("tls", port)
    assert [result.outcome for result in results] == [Outcome.OK, Outcome.OK]
    # As much as is planned for them.
    assert [result.cost_bytes for result in results] == [
        cost_bytes(MediaEdgeAt("london", "localhost", port, "tcp")),
        cost_bytes(MediaEdgeAt("london", "localhost", port, "tls")),
    ]
    assert [result.values.keys() for result in results] == [
        {"rtt_ms", "rtt_p95_ms"},
        {"rtt_ms", "rtt_p95_ms", "tls_ms"},
    ]
    assert untrusted.outcome is Outcome.TLS_FAILED
    # That the connection opened is known, whatever the certificate is.
    assert untrusted.values.keys() == {"rtt_ms", "rtt_p95_ms"}
    assert (await ask("tls", free_port())).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("host", "outcomes"),
    [
        # As the resolver of this computer says.
        (
            "no-such-host.invalid",
            {Outcome.NAME_NOT_FOUND, Outcome.NAME_SERVER_FAILED},
        ),
        ("a..b", {Outcome.NAME_NOT_FOUND}),
        ("x" * 70, {Outcome.NAME_NOT_FOUND}),
    ],
)
async def test_a_name_that_cannot_be_is_an_outcome(
    host: str, outcomes: set[Outcome]
) -> None:
    for over in ("stun", "tcp"):
        edge = MediaEdgeAt("london", host, 443, over)  # type: ignore[arg-type]
        result = await measure(
            edge, trust=ssl.create_default_context, now_ms=lambda: 7, interval_ms=1.0
        )
        assert result.outcome in outcomes


def laptop(team: str) -> EnrolledAgent:
    return EnrolledAgent("a", "hall", 1, 1, 0, team=team)


def test_only_laptops_of_the_team_get_its_edges_and_hear_when_they_change() -> None:
    config = IngestConfig.model_validate({"registry": {"path": "agents.sqlite"}})
    estate = [ESTATE]
    policies = LaptopPolicies(config, lambda: estate[0], lambda: 0)
    edges = policies.policy(laptop("calls")).media_edges
    assert edges == (
        MediaEdgeAt("london", "a.example", 3478, "stun"),
        MediaEdgeAt("api", "b.example", 443, "tls"),
    )
    assert policies.policy(laptop("benefits")).media_edges == ()
    assert policies.policy(None).media_edges == ()
    before = policies.version(laptop("calls"))
    assert before != policies.version(laptop("benefits"))
    estate[0] = Estate(teams=(Team(id="calls"), Team(id="benefits")))
    assert policies.version(laptop("calls")) == policies.version(laptop("benefits"))


def test_only_edges_of_the_estate_may_be_reported() -> None:
    allowed = allowed_targets(ESTATE, PolicyConfig())
    assert allowed["media_edge"] == {"london", "api"}


def test_what_a_run_costs_follows_from_the_teams_edges() -> None:
    stun = MediaEdgeAt("london", "a.example", 3478, "stun")
    assert cost_bytes() == 0
    assert cost_bytes(stun) == MEDIA_PACKETS * 2 * 60
    tls = MediaEdgeAt("api", "b.example", 443, "tls")
    assert cost_bytes(stun, tls) == cost_bytes(stun) + cost_bytes(tls)


def test_two_edges_of_a_team_cannot_have_one_name() -> None:
    edge = {"id": "london", "host": "a.example", "port": 1, "over": "tcp"}
    with pytest.raises(ValidationError, match="two have the same id"):
        Team.model_validate({"id": "calls", "media_edges": [edge, edge]})
