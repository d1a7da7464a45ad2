"""The version of each laptop's agent, as the registry keeps it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from ingest_council import body, door, enrol, make_older, opened_registry, report

from collectors.ingest.agent_versions import OTHER, AgentVersions
from collectors.ingest.registry_records import EnrolledAgent
from collectors.ingest.rings import software_counts
from probes.wire.policy import decode


def laptop(software: str, name: str = "a") -> EnrolledAgent:
    return EnrolledAgent(name, "hall", 0, 0, 0, software=software)


async def test_the_version_is_kept_and_written_only_when_it_changes(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        who = enrol(council.registry, "LAPTOP-1")

        async def send(id: str, software: str) -> str:
            sent = report(who.agent, id, software=software)
            assert (await council.send(who, body(sent))).status_code == 200
            return council.registry.agents()[0].software

        assert await send("r1", "towpath-agent/0.1.0") == "towpath-agent/0.1.0"
        assert await send("r2", "towpath-agent/0.2.0") == "towpath-agent/0.2.0"
        # A report of before the update is in no receipt yet, and comes with a new one.
        old = report(who.agent, "r3", software="towpath-agent/0.1.0", sent_ms=1)
        new = report(who.agent, "r4", software="towpath-agent/0.2.0")
        await council.send(who, body(old, new))
        assert not council.registry._versions
        assert await send("r5", "<b>evil</b>") == OTHER
    with opened_registry(tmp_path) as registry:
        assert registry.agents()[0].software == OTHER


async def test_the_policy_that_a_laptop_has_fetched_is_known(tmp_path: Path) -> None:
    async with door(tmp_path) as council:
        who = enrol(council.registry, "LAPTOP-1")
        assert council.registry.agents()[0].policy == ""
        sign_in = who.agent, who.secret
        asked = await council.client.get("/v1/policy", auth=sign_in)
        version = decode(asked.content).version
        assert council.registry.agents()[0].policy == version != ""
        # An agent that has it already is told no more than that.
        headers = {"If-None-Match": asked.headers["etag"]}
        again = await council.client.get("/v1/policy", auth=sign_in, headers=headers)
        assert again.status_code == 304
        assert not council.registry._versions


def test_what_changes_while_it_is_written_is_written_next() -> None:
    versions = AgentVersions()
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE agent (agent, software, policy)")
        versions.mark("a", "software", "1.0")
        written = versions.write(connection)
        versions.mark("a", "software", "1.1")
        versions.written(written)
        assert versions.write(connection) == {("a", "software"): "1.1"}
        # What the file had before is not taken over what was seen since.
        versions.load([laptop("1.0"), laptop("1.0", "b")])
        versions.mark("a", "software", "1.1")
        versions.mark("b", "software", "1.0")
        assert versions.write(connection) == {("a", "software"): "1.1"}


@given(st.lists(st.text(max_size=80)))
def test_any_text_counts_once_and_is_short(texts: list[str]) -> None:
    versions = AgentVersions()
    for number, text in enumerate(texts):
        versions.mark(str(number), "software", text)
    kept = set(versions._unsaved.values())
    assert all(len(text) <= 64 and text.isprintable() for text in kept)
    agents = [laptop(text) for text in kept]
    assert sum(count for _, count in software_counts(agents)) == len(agents)


def test_the_newest_version_comes_first() -> None:
    agents = [laptop(v) for v in ("agent 0.9.1", "", "agent 0.10.0", "agent 0.9.1")]
    assert software_counts(agents) == [
        ("agent 0.10.0", 1),
        ("agent 0.9.1", 2),
        ("", 1),
    ]


def test_a_registry_of_the_format_before_gets_the_column(tmp_path: Path) -> None:
    with opened_registry(tmp_path) as registry:
        enrol(registry, "LAPTOP-1")
    make_older(tmp_path / "agents.sqlite", 4)
    with opened_registry(tmp_path) as registry:
        assert registry.agents()[0].software == ""
