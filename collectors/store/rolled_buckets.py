"""`RolledBuckets`: which buckets of which roll-ups in InfluxDB are complete.

It reads the files of `RollUpFiles`, which name each bucket that is out of date before
a write counts as done. So any process that has the store's folder knows, not only those
that write.
"""

from __future__ import annotations

from collectors.store.rolled_measurements import DAY, STEPS_MS
from collectors.store.rollup_files import (
    RollUpFiles,
    RollUpState,
    load_state,
    merged_state,
)
from collectors.store.store_parts import StorePart
from probes.wire.catalogue import Measurement

Span = tuple[int, int]


class RolledBuckets:
    """Without files of all writers, nothing counts as rolled up."""

    def __init__(self, files: RollUpFiles) -> None:
        self._files = files
        self._versions: dict[StorePart, tuple[int, int, int]] = {}
        self._states: dict[StorePart, RollUpState] = {}
        self._state = RollUpState()

    def spans(self, declared: Measurement, step: str, span: Span) -> list[Span]:
        """Returns the parts of `span` whose buckets of `step` are complete, in order:
        whole buckets alone, those that follow each other as one."""
        self._refresh()
        state, name, length = self._state, declared.name, STEPS_MS[step]
        if name not in state.history or name not in state.whole_days:
            return []
        missing = [
            (start, start + length)
            for start in state.pending.get(name, {}).get(step, ())
        ]
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
        versions = {}
        states = {}
        for part, path in self._files.found().items():
            try:
                found = path.stat()
            except OSError:
                continue
            version = found.st_mtime_ns, found.st_size, found.st_ino
            versions[part] = version
            if self._versions.get(part) == version:
                states[part] = self._states[part]
            else:
                states[part] = load_state(path)
        if versions != self._versions:
            self._state = merged_state(states)
        self._versions, self._states = versions, states
