"""Agents and servers of different versions: nothing is lost, whichever is newer."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from append_doubles import ListAppend
from hypothesis import given
from hypothesis import strategies as st
from ingest_council import (
    door,
    enrol,
    opened_registry,
    registry_config,
    report,
    wall_ms,
)
from services import mosquitto, running
from waiting import until

from collectors.ingest.ingest_config import IngestConfig, MqttConfig
from collectors.ingest.mqtt_ingest import MqttIngest
from collectors.ingest.report_body import RejectedReport, read_report, split_body
from probes.agent.publish_https import HttpsPublisher
from probes.agent.publish_mqtt import MqttPublisher
from probes.agent.report_delivery import VERSION_RETRY_S, Publisher, ReportDelivery
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import Mqtt, Settings, SpoolLimits
from probes.agent.spool import Spool
from probes.agent.spool_rows import stored_bytes
from probes.diagnosis.sent_log import SentLog
from probes.wire.failure import NOT_MEASURED, Outcome
from probes.wire.report import (
    READ_VERSIONS,
    VERSION,
    AgentCredential,
    Receipt,
    Report,
    ReportRefusal,
)

NEWER = range(VERSION, VERSION + 2)


class Clock:
    """Wall time that a test moves on."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return wall_ms() + self.ahead_ms


@contextlib.asynccontextmanager
async def over_https(
    folder: Path, append: ListAppend, versions: range
) -> AsyncIterator[tuple[AgentCredential, Publisher]]:
    async with door(folder, append=append, versions=versions) as council:
        who = enrol(council.registry, "LAPTOP-1")
        server = f"https://127.0.0.1:{council.ingest.port}"
        ca_file = str(council.certificates.authority)
        async with ServerConnection(server, who, ca_file, "test") as way:
            yield who, HttpsPublisher(way)


@contextlib.asynccontextmanager
async def over_mqtt(
    folder: Path, append: ListAppend, versions: range
) -> AsyncIterator[tuple[AgentCredential, Publisher]]:
    with (
        opened_registry(folder) as registry,
        running(mosquitto(folder / "broker")) as broker,
    ):
        who = enrol(registry, "LAPTOP-1")
        config = IngestConfig(
            registry=registry_config(folder),
            mqtt=MqttConfig(port=broker.port, tls=False),
            aside=folder / "aside",
        )
        settings = Settings(mqtt=Mqtt("127.0.0.1", broker.port, False))
        async with (
            MqttIngest(config, registry, append, versions=versions) as ingest,
            MqttPublisher(settings, who) as publisher,
        ):
            await until(lambda: ingest.connected)
            yield who, publisher


WAYS = [over_https, pytest.param(over_mqtt, marks=pytest.mark.service)]


@contextlib.contextmanager
def spooled(folder: Path, clock: Clock) -> Any:
    with Spool(folder / "laptop", SpoolLimits(), clock) as spool:
        yield spool


def delivery(
    folder: Path, spool: Spool, publisher: Publisher, clock: Clock
) -> ReportDelivery:
    return ReportDelivery(
        spool, publisher, SentLog(folder / "laptop"), clock, lambda: 0.5
    )


async def drain(sending: ReportDelivery) -> None:
    while await sending.deliver() is not None:
        pass


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("server", [READ_VERSIONS, NEWER], ids=["old", "new"])
@pytest.mark.parametrize("agent", [VERSION, VERSION + 1], ids=["old", "new"])
async def test_a_report_is_accepted_or_waits_whatever_the_versions(
    tmp_path: Path, way: Any, server: range, agent: int
) -> None:
    append, clock = ListAppend(), Clock()
    async with way(tmp_path, append, server) as (who, publisher):
        with spooled(tmp_path, clock) as spool:
            spool.put(report(who.agent, "r1", version=agent))
            sending = delivery(tmp_path, spool, publisher, clock)
            await drain(sending)
            if agent in server:
                assert (spool.waiting, len(append.rows())) == (0, 2)
                assert sending.trouble == ""
            else:
                assert (spool.waiting, append.calls) == (1, 0)
                assert "must be updated" in sending.trouble
            assert not sending.refused


@pytest.mark.parametrize("way", WAYS)
async def test_what_was_refused_for_its_version_follows_when_the_server_is_updated(
    tmp_path: Path, way: Any
) -> None:
    append, clock = ListAppend(), Clock()
    newer = VERSION + 1
    # A row is known by its time, so each report has its own.
    first_ms = wall_ms() - 10
    async with way(tmp_path / "old", append, READ_VERSIONS) as (who, publisher):
        with spooled(tmp_path, clock) as spool:
            # An agent that was updated while it was offline.
            for number in range(3):
                at_ms = first_ms + number
                spool.put(report(who.agent, f"n{number}", time_ms=at_ms, version=newer))
            spool.put(report(who.agent, "o1"))
            sending = delivery(tmp_path, spool, publisher, clock)
            await drain(sending)
            assert [report.id for report in spool.oldest(9, 10**6)] == [
                "n0",
                "n1",
                "n2",
            ]
            assert len(append.rows()) == 2
            # What is made meanwhile does not cost a request each time.
            spool.put(report(who.agent, "n3", version=newer))
            assert await sending.deliver() is None
            assert spool.waiting == 4
    append = ListAppend()
    async with way(tmp_path / "new", append, NEWER) as (who, publisher):
        with spooled(tmp_path, clock) as spool:
            for waiting in spool.oldest(9, 10**6):
                spool.forget(Receipt((waiting.id,)))
                made = msgspec.json.decode(waiting.body, type=Report)
                spool.put(msgspec.structs.replace(made, agent=who.agent))
            sending._publisher = publisher
            sending._spool = spool
            assert await sending.deliver() is None
            clock.ahead_ms += int(VERSION_RETRY_S * 1.5 * 1000)
            await drain(sending)
            assert spool.waiting == 0
            assert sending.trouble == ""
    assert len({at for _, _, at in append.rows()}) == 4


async def test_held_back_reports_are_bounded_as_any_that_wait(tmp_path: Path) -> None:
    append, clock = ListAppend(), Clock()
    async with over_https(tmp_path, append, READ_VERSIONS) as (who, publisher):
        limits = SpoolLimits(max_bytes=100_000)
        with Spool(tmp_path / "laptop", limits, clock) as spool:
            sending = delivery(tmp_path, spool, publisher, clock)
            for number in range(600):
                spool.put(report(who.agent, f"r{number}", version=VERSION + 1))
            await drain(sending)
            assert spool.dropped > 0
            assert stored_bytes(spool._db) <= 100_000


async def test_a_report_with_all_that_a_newer_agent_may_add_is_taken(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        who = enrol(council.registry, "LAPTOP-1")
        newer = msgspec.to_builtins(report(who.agent, "r1"))
        newer["mood"] = {"of": ["the", "laptop"]}
        newer["whereabouts"] |= {"place": "train", "connection": "satellite"}
        newer["whereabouts"] |= {"vpn": "half", "floor": 3}
        call, lookup = newer["results"]
        call |= {"outcome": "asleep", "hint": None}
        call["values"] |= {"smell": 7, "parts": [1, 2], "sure": True, "jitter_ms": 2}
        smell = {**lookup, "probe": "smell", "values": {"rose": 0.3}}
        newer["results"] = [call, lookup, smell]
        answer = await council.send(who, json.dumps([newer]).encode())
        assert msgspec.json.decode(answer.content, type=Receipt).accepted == ("r1",)
        assert council.ingest.stats.odd_values == 1
        assert council.ingest.stats.misfit_rows == 1
    calls, lookups, smells = council.append.batches
    assert calls.tag("place") == calls.tag("connection") == calls.tag("vpn")
    assert calls.tag("vpn") == ["unknown"]
    assert calls.field("outcome") == ["other"]
    assert calls.field("ok") == [0]
    assert calls.field("rtt_ms") == [21.5]
    assert calls.field("jitter_ms") == [2.0]
    assert lookups.field("outcome") == ["timeout"]
    assert smells.measurement == "smell"


def test_an_outcome_that_is_not_known_counts_as_not_measured() -> None:
    assert Outcome.OTHER in NOT_MEASURED


async def test_a_newer_agent_may_enrol_with_more_to_say(tmp_path: Path) -> None:
    async with door(tmp_path) as council:
        token = council.registry.admin.make_token("depot", 1, 1, wall_ms())
        asked = {"token": token, "device": "d", "system": "linux", "keys": [1]}
        answer = await council.client.post("/v1/enrol", content=json.dumps(asked))
        assert answer.status_code == 200


def test_refusals_for_a_version_are_known_from_older_servers_too() -> None:
    assert ReportRefusal("r", "anything", "version").is_for_version
    assert ReportRefusal("r", "version: the report has version 7").is_for_version
    assert not ReportRefusal("r", "version: of a text", "malformed").is_for_version
    assert not ReportRefusal("r", "malformed: version").is_for_version
    # An older agent reads a newer receipt.
    receipt = msgspec.json.encode(Receipt((), (ReportRefusal("r", "why", "version"),)))
    assert b'"why":"why"' in receipt


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=9)
scalars |= st.floats(allow_nan=False, allow_infinity=False)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
names = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
_plain = msgspec.to_builtins(report("agent-1", "r1", time_ms=1_790_000_000_000))


@given(
    st.dictionaries(names, anything, max_size=4),
    st.dictionaries(names, anything, max_size=4),
    st.dictionaries(names, anything, max_size=100),
    names,
    names,
)
def test_whatever_is_added_within_a_version_costs_nothing_that_was_there(
    of_report: dict[str, Any],
    of_result: dict[str, Any],
    of_values: dict[str, Any],
    outcome: str,
    place: str,
) -> None:
    added = json.loads(json.dumps(_plain))
    added |= {name: value for name, value in of_report.items() if name not in added}
    added["whereabouts"]["place"] = place
    first = added["results"][0]
    first |= {name: value for name, value in of_result.items() if name not in first}
    first["outcome"] = outcome
    first["values"] |= {k: v for k, v in of_values.items() if k not in first["values"]}
    (raw,) = split_body(json.dumps([added]).encode())
    report = read_report(raw, "agent-1")
    if isinstance(report, RejectedReport):
        # Texts that could confuse a reader, and numbers that nobody can hold.
        odd = [v for v in of_values.values() if isinstance(v, str)]
        assert any(not v.isprintable() for v in odd), report.why
        return
    assert report.results[1].outcome is Outcome.TIMEOUT
    assert report.results[0].values["rtt_ms"] == 21.5
    assert all(
        not isinstance(value, float) or math.isfinite(value)
        for value in report.results[0].values.values()
    )


@given(st.integers(-(2**40), 2**40))
def test_every_version_is_read_or_refused_as_one(version: int) -> None:
    (raw,) = split_body(json.dumps([{**_plain, "version": version}]).encode())
    report = read_report(raw, "agent-1")
    if version in READ_VERSIONS:
        assert isinstance(report, Report)
    else:
        assert isinstance(report, RejectedReport)
        assert report.refusal().is_for_version
