"""Whether the roles of a process can do their work: what `/readyz` answers.

The checks read the counters that the roles already keep. They find what a restart does
not mend (a store that is down, a full disk), so `/healthz` does not look at them. The
web role has none: its pages state by themselves what they cannot show, and are needed
most while something is down.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from collectors.self_metrics import Source
from collectors.snmp.polling.poll_stats import PollStats
from probes.wire.clock import WallClock
from probes.wire.sample import Value

Check = Callable[[int], str]
"""What keeps a part from its work at a time (in ms), as a sentence; else empty."""

# Without progress for so long although there is work, a part is stuck.
STUCK_MS = 300_000
# Rules are evaluated every few seconds; on a busy machine and in a storm, later.
LONGEST_CYCLE_MS = 120_000
# A poll takes no longer than a period; so it has ended after two.
_PERIODS = 3


class Readiness:
    """`checks`: (name of the part, check). A check that fails is a reason too."""

    def __init__(self, checks: Sequence[tuple[str, Check]], now_ms: WallClock) -> None:
        self._checks, self._now_ms = checks, now_ms
        self._lock = threading.Lock()

    @property
    def parts(self) -> list[str]:
        """The parts that are checked."""
        return [part for part, _ in self._checks]

    def reasons(self) -> list[str]:
        """Sentences about what keeps parts from their work; none if all can."""
        sentences = []
        # Requests come in threads, and checks compare with what they saw before.
        with self._lock:
            now_ms = self._now_ms()
            for part, check in self._checks:
                try:
                    sentence = check(now_ms)
                except Exception as error:  # noqa: BLE001 - the others are checked too
                    sentence = f"cannot be checked ({error!r})"
                if sentence:
                    sentences.append(f"{part}: {sentence}")
        return sentences


def source_checks(
    roles: Sequence[str],
    sources: Mapping[str, Source],
    journal_problem: Callable[[], str],
) -> list[tuple[str, Check]]:
    """The checks of these roles that only need what they report about themselves, and
    why the journal's servers cannot be used. Whether the journal accepts rows is
    checked for the roles whose work is to write to it."""
    makers: dict[str, Callable[[Source], Check]] = {
        "store": ReaderCheck,
        "traps": traps_check,
        "calls": calls_check,
    }
    if {"poll", "ingest", "calls"} & set(roles):
        makers["journal"] = JournalCheck
    checks = [
        (name, make(sources[name])) for name, make in makers.items() if name in sources
    ]
    if set(roles) != {"web"}:
        checks.append(("servers of the journal", lambda now_ms: journal_problem()))
    return checks


class CountProgress:
    """When a counter was last seen to change."""

    def __init__(self) -> None:
        self._count: Value = 0
        self.changed_ms = 0

    def update(self, count: Value, now_ms: int) -> int:
        """Returns when it last changed; 0 if it has not."""
        if count != self._count:
            self._count, self.changed_ms = count, now_ms
        return self.changed_ms


class JournalCheck:
    """Not ready while the journal accepts no rows. `source` makes `self_journal`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._appended, self._refused = CountProgress(), CountProgress()

    def __call__(self, now_ms: int) -> str:
        for sample in self._source(now_ms):
            fields = sample.fields
            appended_ms = self._appended.update(fields["appended_rows"], now_ms)
            if fields["full"]:
                return "the disk is full, so the journal accepts no rows"
            if self._refused.update(fields["refused_rows"], now_ms) > appended_ms:
                return "the journal could not write the newest rows"
        return ""


class ReaderCheck:
    """Not ready while a reader's effect fails, or while it does not move on although
    rows wait. `source` makes `self_reader`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._passed, self._failures = CountProgress(), CountProgress()
        self._first_ms = 0

    def __call__(self, now_ms: int) -> str:
        self._first_ms = self._first_ms or now_ms
        for sample in self._source(now_ms):
            fields = sample.fields
            passed_ms = self._passed.update(fields["passed_rows"], now_ms)
            if self._failures.update(fields["failures"], now_ms) > passed_ms:
                return "the newest rows could not be written (reader_waits in the log)"
            still_ms = now_ms - max(passed_ms, self._first_ms)
            if still_ms >= STUCK_MS and float(fields["lag_s"]) * 1000 >= STUCK_MS:
                return f"rows wait, and none was read for {still_ms // 60_000} minutes"
        return ""


class PollCheck:
    """Not ready while no device answers, or while polls are due and none ends."""

    def __init__(
        self, stats: PollStats, is_cut_off: Callable[[], bool], period_s: float
    ) -> None:
        self._stats, self._is_cut_off = stats, is_cut_off
        self._longest_ms = max(round(_PERIODS * period_s * 1000), LONGEST_CYCLE_MS)
        self._done = CountProgress()
        self._due_ms: int | None = None

    def __call__(self, now_ms: int) -> str:
        if self._is_cut_off():
            return "no device answers, so this machine has probably lost its network"
        before_ms = self._done.changed_ms
        if self._done.update(self._stats.done, now_ms) != before_ms:
            self._due_ms = None
        if self._stats.expected > self._stats.done and self._due_ms is None:
            self._due_ms = now_ms
        if self._due_ms is not None and now_ms - self._due_ms >= self._longest_ms:
            still_s = (now_ms - self._due_ms) // 1000
            return f"polls are due, and none has ended for {still_s} s"
        return ""


def traps_check(source: Source) -> Check:
    """Not ready while the receiver of traps has no port. `source`: `self_traps`."""

    def check(now_ms: int) -> str:
        if all(sample.fields.get("listening", 1) for sample in source(now_ms)):
            return ""
        return "the port of traps is not open (traps_not_listening in the log)"

    return check


def calls_check(source: Source) -> Check:
    """Not ready while Microsoft's record cannot be read. `source`: `self_calls`."""

    def check(now_ms: int) -> str:
        failures = [
            str(sample.fields["state_text"])
            for sample in source(now_ms)
            if not sample.fields["reading"]
        ]
        return "; ".join(failures)

    return check


def evaluation_check(
    evaluated_ms: Callable[[], int], disk_error: Callable[[], str]
) -> Check:
    """Not ready until the rules were evaluated, if that was long ago, and while alerts
    are only in memory."""

    def check(now_ms: int) -> str:
        if error := disk_error():
            return f"alerts are kept in memory only: {error}"
        if not evaluated_ms():
            return "the rules have not been evaluated yet: the journal is being read"
        late_ms = now_ms - evaluated_ms()
        if late_ms >= LONGEST_CYCLE_MS:
            return f"the rules have been evaluated up to {late_ms // 1000} s ago only"
        return ""

    return check


def broker_check(connected: Callable[[], bool]) -> Check:
    """Not ready without the broker. Only if there is no HTTPS: that must be reachable
    while the broker is down."""

    def check(now_ms: int) -> str:
        return "" if connected() else "the broker is not connected"

    return check
