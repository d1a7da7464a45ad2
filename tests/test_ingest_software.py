"""The version of each laptop's agent, as the registry keeps it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from ingest_council import body, door, enrol, opened_registry, report

from collectors.ingest.agent_software import OTHER, SoftwareVersions
from collectors.ingest.registry_records import EnrolledAgent
from collectors.ingest.rings import software_counts


def laptop(software: str) -> EnrolledAgent:
    return EnrolledAgent("a", "hall", 0, 0, 0, software=software)


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
        assert not council.registry._software
        assert await send("r5", "<b>evil</b>") == OTHER
    with opened_registry(tmp_path) as registry:
        assert registry.agents()[0].software == OTHER


def test_what_changes_while_it_is_written_is_written_next() -> None:
    versions = SoftwareVersions()
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE agent (agent, software)")
        versions.mark("a", "1.0")
        written = versions.write(connection)
        versions.mark("a", "1.1")
        versions.written(written)
        assert versions.write(connection) == {"a": "1.1"}
        # What the file had before is not taken over what was seen since.
        versions.load({"a": "1.0", "b": "1.0"})
        versions.mark("a", "1.1")
        versions.mark("b", "1.0")
        assert versions.write(connection) == {"a": "1.1"}


@given(st.lists(st.text(max_size=80)))
def test_any_text_counts_once_and_is_short(texts: list[str]) -> None:
    versions = SoftwareVersions()
    for number, text in enumerate(texts):
        versions.mark(str(number), text)
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
    file = sqlite3.connect(tmp_path / "agents.sqlite")
    file.execute("ALTER TABLE agent DROP COLUMN software")
    file.execute("PRAGMA user_version = 4")
    file.commit()
    file.close()
    with opened_registry(tmp_path) as registry:
        assert registry.agents()[0].software == ""
