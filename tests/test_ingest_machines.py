"""Laptops on the same computer: whatever happens in whatever order, each that works is
counted, and one that was set up again is not counted twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from hypothesis import given
from hypothesis import strategies as st

from collectors.ingest.machines import set_machine, undo_replacement
from collectors.ingest.registry_file import UPDATES

MACHINES = st.sampled_from(["m1", "m2", ""])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enrol"), st.sampled_from("abcd"), MACHINES),
        st.tuples(st.just("measure"), st.sampled_from("abcd"), st.just("")),
    ),
    max_size=14,
)


@contextmanager
def registry() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as file:
        for statements in UPDATES.values():
            file.executescript(statements)
        yield file


def enrol(file: sqlite3.Connection, agent: str, machine: str, now_ms: int) -> None:
    file.execute(
        "INSERT INTO agent (agent, secret_hash, broker_hash, home_site, token,"
        " enrolled_ms) VALUES (?, ?, '', 'hall', '', ?)"
        " ON CONFLICT (agent) DO UPDATE SET enrolled_ms = excluded.enrolled_ms,"
        " replaced_ms = 0",
        (agent, agent.encode(), now_ms),
    )
    set_machine(file, agent, machine, now_ms)


@given(STEPS)
def test_who_enrolled_or_measured_last_on_a_computer_counts(
    steps: list[tuple[str, str, str]],
) -> None:
    with registry() as file:
        on: dict[str, str] = {}
        for now_ms, (what, agent, machine) in enumerate(steps, 1):
            if what == "enrol":
                if machine and on.get(agent) not in (None, "", machine):
                    continue  # refused: the id belongs to another computer
                enrol(file, agent, machine, now_ms)
                on[agent] = machine or on.get(agent, "")
            elif agent in on:
                undo_replacement(file, agent, now_ms)
            else:
                continue
            rows = {
                name: (number, replaced, shares)
                for name, number, replaced, shares in file.execute(
                    "SELECT agent, machine, replaced_ms, shares FROM agent"
                )
            }
            for number in {number for number, _, _ in rows.values()}:
                same = {name: row for name, row in rows.items() if row[0] == number}
                counted = [name for name, (_, gone, _) in same.items() if not gone]
                shared = any(shares for _, _, shares in same.values())
                if not number:
                    # Nobody knows which computer that is.
                    assert counted == list(same)
                    assert not shared
                elif not shared:
                    assert len(counted) == 1
            if on[agent]:
                assert rows[agent][1] == 0, "who was just there counts"


@given(STEPS)
def test_a_shared_number_is_noted_once(steps: list[tuple[str, str, str]]) -> None:
    with registry() as file:
        for now_ms, (what, agent, machine) in enumerate(steps, 1):
            if what == "enrol":
                enrol(file, agent, machine, now_ms)
            else:
                undo_replacement(file, agent, now_ms)
        notes = file.execute("SELECT what, subject FROM audit").fetchall()
        assert len(notes) == len(set(notes))
        shared = file.execute("SELECT agent FROM agent WHERE shares = 1").fetchall()
        assert bool(notes) or not shared
