"""Machines with the real store and replica on a log in memory, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from alerts.alert import Alert
from alerts.alert_access import opened
from alerts.alert_store import AlertStore, CycleChanges
from alerts.outbox_entry import OutboxEntry
from alerts.replicated_rows import TABLES
from alerts.standby.alert_replica import (
    AlertReplica,
    LogOvertaken,
    LogPart,
    LogState,
    NotReplicated,
)

NOW_MS = 1_777_888_800_000


class MemoryLog:
    """`mood` of the next append: `takes`; `fails`, without a trace; `unsure`: it is
    there, but the answer is lost."""

    def __init__(self) -> None:
        self.parts: dict[int, LogPart] = {}
        self.made, self.last = 1, 0
        self.mood = "takes"

    def state(self) -> LogState:
        return LogState(self.made, min(self.parts, default=self.last + 1), self.last)

    def append(self, part: LogPart, after: int) -> int:
        mood, self.mood = self.mood, "takes"
        if mood == "fails":
            raise OSError("no quorum")
        if after != self.last:
            raise LogOvertaken
        self.last += 1
        self.parts[self.last] = part._replace(sequence=self.last)
        if mood == "unsure":
            raise OSError("no answer in time")
        return self.last

    def read(self, sequence: int) -> LogPart | None:
        return self.parts.get(sequence)

    def drop_before(self, sequence: int) -> None:
        assert sequence > 1  # nats-server would drop all
        self.parts = {at: part for at, part in self.parts.items() if at >= sequence}


class Machine:
    """One machine. A message is claimed and sent in two steps, between which anything
    may happen; `desk` is the other end of the one channel."""

    def __init__(
        self, folder: Path, name: str, log: MemoryLog, desk: list[str]
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.name, self.path = name, folder / f"{name}.sqlite"
        self.log, self.desk = log, desk
        self.claimed: list[OutboxEntry] = []
        self.start()

    def start(self) -> None:
        self.replica = AlertReplica(self.path, self.log, self.name)
        self.store = AlertStore(self.path, self.replica)

    def restart(self) -> None:
        """As after kill -9: what it was about to do is forgotten."""
        self.close()
        self.claimed = []
        self.start()

    def take_over(self) -> bool:
        self.claimed = []
        try:
            return self.replica.take_over()
        except OSError:
            return False

    def follow(self) -> None:
        if not self.replica.is_active:
            self.replica.stand_down()
            self.replica.follow()

    def decide(self, episode: str, ends: bool = False) -> bool:
        """Whether the decision counts."""
        alert = Alert(
            "line_down", {"line": episode}, "critical", "firing", NOW_MS, site="hall"
        )
        pages = [OutboxEntry(episode, "page", "desk", alert, NOW_MS)]
        if ends:
            alert = msgspec.structs.replace(alert, state="resolved", resolved_ms=NOW_MS)
            pages = []
        changes = CycleChanges(
            {}, {episode: alert}, pages, [episode] * ends, [], NOW_MS, [], {}, {}
        )
        try:
            self.store.write(changes, NOW_MS)
        except NotReplicated:
            return False
        return True

    def claim(self) -> bool:
        if self.claimed or not self.replica.is_active:
            return False
        due = self.store.outbox.due("desk", NOW_MS)[:1]
        try:
            if due:
                self.store.outbox.start_attempt(due)
        except NotReplicated:
            return False
        self.claimed = due
        return bool(due)

    def send(self, dies: bool = False) -> None:
        """Sends what it has claimed, and marks it unless it dies first."""
        for entry in self.claimed:
            self.desk.append(f"{entry.episode} {entry.kind}")
        if dies:
            return self.restart()
        claimed, self.claimed = self.claimed, []
        try:
            if claimed:
                self.store.outbox.delivered(claimed, NOW_MS)
        except NotReplicated:
            pass

    def acknowledge(self, episode: str) -> None:
        """As another process does."""
        with opened(self.path) as db:
            db.execute(
                "INSERT OR IGNORE INTO ack VALUES (?, ?, 'pat', '')", (episode, NOW_MS)
            )

    def content(self) -> dict[str, list[Any]]:
        with opened(self.path, read_only=True) as db:
            return {
                table: db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
                for table in (*TABLES, "sqlite_sequence")
            }

    def close(self) -> None:
        """What the system does when a process has ended, killed or not."""
        self.store.close()
        self.replica.free_lock()


def refusal(machine: Machine, episode: str) -> str:
    """What another process is told that acknowledges an alert; empty if it may."""
    try:
        machine.acknowledge(episode)
    except OSError as error:
        return str(error)
    return ""
