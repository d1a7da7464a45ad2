"""`StreamGaps`: what a reader of a stream has missed, from the numbers of messages and
from the notes of what was dropped."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec
import structlog

from collectors.journal.journal_stats import ReaderStats
from collectors.nats.stream_message import DroppedNote

_log = structlog.get_logger()


class StreamGaps:
    """Adds to `stats`, and logs each gap."""

    def __init__(self, log: str, stats: ReaderStats) -> None:
        self._name, self._stats = log, stats
        self._missed: list[range] = []

    def miss(self, received: int, next_sequence: int) -> None:
        """The messages in between are not there any more.

        A note follows, with the rows they had, if the writer dropped them. The servers
        leave none if they delete what is too old, nor does a writer that deletes what
        every reader had passed: this one begins again, with an older copy of its state.
        """
        missed = range(received + 1, next_sequence)
        if not missed:
            return
        self._missed.append(missed)
        # Before its first message, a reader may be new.
        if received:
            self.report(received, "deleted before they were read", messages=len(missed))

    def count(self, note: bytes, at: int) -> None:
        """Counts the rows of a note, each message once: the writer notes some again."""
        messages = msgspec.msgpack.decode(note, type=DroppedNote).messages
        rows = {
            sequence: count
            for sequence, count in messages
            if any(sequence in span for span in self._missed)
        }
        if rows:
            spans = self._missed
            self._missed = [left for s in spans for left in spans_without(s, rows)]
            self.report(at, "dropped before they were read", rows=sum(rows.values()))

    def forget(self) -> None:
        """The stream was made again, and counts anew."""
        self._missed.clear()

    def report(self, at: int, reason: str, messages: int = 0, rows: int = 0) -> None:
        """`messages` or `rows` are 0 if their number is not known here."""
        self._stats.gaps += not rows
        self._stats.gap_rows += rows
        _log.warning(
            "journal_gap",
            log=self._name,
            at=at,
            messages=messages,
            rows=rows,
            error=reason,
        )


def spans_without(span: range, taken: Collection[int]) -> Iterator[range]:
    """What is left of a span, in spans. Pure."""
    # Not by the span's own numbers: that of a new reader may have millions.
    first = span.start
    for number in sorted(number for number in taken if number in span):
        if first < number:
            yield range(first, number)
        first = number + 1
    if first < span.stop:
        yield range(first, span.stop)
