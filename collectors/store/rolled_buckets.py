"""`RolledBuckets`: which buckets of which roll-ups in InfluxDB are complete.

It reads the file of `RollUpBacklog`, which names each bucket that is out of date before
anybody may rely on it. So any process that has the store's folder knows, not only the
one that writes.
"""

from __future__ import annotations

from pathlib import Path

from collectors.store.rolled_measurements import DAY, STEPS_MS
from collectors.store.rollup_backlog import RollUpState, load_state
from probes.wire.catalogue import Measurement

Span = tuple[int, int]


class RolledBuckets:
    """`path`: the file; without it, nothing counts as rolled up."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int, int] | None = None
        self._state = RollUpState()

    def spans(self, declared: Measurement, step: str, span: Span) -> list[Span]:
        """Returns the parts of `span` whose buckets of `step` are complete, in order:
        whole buckets alone, those that follow each other as one."""
        self._refresh()
        state, name, length = self._state, declared.name, STEPS_MS[step]
        if name not in state.history or name not in state.whole_days:
            return []
        missing = sorted(
            (start, start + length)
            for start in state.pending.get(name, {}).get(step, ())
        )
        missing.append((state.whole_days if step == DAY else state.history)[name])
        begin, end = span[0] + -span[0] % length, span[1] - span[1] % length
        complete = []
        for first, last in sorted(missing):
            # Older rows are listed by the hour or day, of which buckets are parts.
            if first < last and first < end and last > begin:
                if begin < first:
                    complete.append((begin, first))
                begin = max(begin, last)
        if begin < end:
            complete.append((begin, end))
        return complete

    def _refresh(self) -> None:
        try:
            found = self._path.stat()
        except OSError:
            self._version, self._state = None, RollUpState()
            return
        version = found.st_mtime_ns, found.st_size, found.st_ino
        if version != self._version:
            self._version, self._state = version, load_state(self._path)
