"""From polls to what was observed. Pure: polls in, pieces of time out.

A poll stands for the time until the next poll of its device. If that is late by half a
period or more, a poll was missed: then it stands for one period, and the rest is not
observed.

The polls of a site form rounds: every device once. A site is reachable in a round if
any of its devices answers in it: three switches that answer in turn are a site that was
always there. An outage lasts from the first poll without an answer to the next answer.

The monitor itself is cut off from the first poll without an answer to the next answer
of anything, if every device that had answered before (at least three, in at least two
sites) was asked in between. That is the condition of the rule `monitor_cut_off`, from
its beginning: the rule fires only once it is sure.
"""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from dashboards.observed.time_spans import Span, merged, without

Period = Callable[[int], int]
"""Time in ms → ms between two polls of a device at that time."""
# A poll this many periods after the last one is the next; later, one was missed.
_LATE = 1.5
# The usual times of devices within a period are compared this finely.
_PHASES = 60
_LEAST_DEVICES = 3
# Anything below this is rounding, and shows in no mark.
_LEAST_MS = 1_000
_LEAST_SITES = 2


class Poll(NamedTuple):
    """One poll of one device."""

    time_ms: int
    device: str
    up: bool


class ObservedPiece(NamedTuple):
    """Observed time. `share` of it was in this state: below 1 if some polls of an hour
    are missing, or some were answered and some not, and it is not known when."""

    from_ms: int
    to_ms: int
    up: bool
    share: float = 1.0

    @property
    def ms(self) -> float:
        return (self.to_ms - self.from_ms) * self.share


class _Round(NamedTuple):
    polls: list[Poll]
    up: bool

    @property
    def start_ms(self) -> int:
        return self.polls[0].time_ms


def device_pieces(polls: Iterable[Poll], period: Period) -> list[ObservedPiece]:
    """Returns what was observed of one device."""
    ordered = _ordered(polls)
    return joined(
        ObservedPiece(poll.time_ms, until_ms, poll.up)
        for poll, until_ms in zip(ordered, _ends(ordered, period), strict=True)
    )


def site_pieces(polls: Iterable[Poll], period: Period) -> list[ObservedPiece]:
    """Returns what was observed of a site, from the polls of all its devices."""
    ordered = _ordered(polls)
    by_device: dict[str, list[Poll]] = {}
    for poll in ordered:
        by_device.setdefault(poll.device, []).append(poll)
    if len(by_device) < 2:
        return device_pieces(ordered, period)
    until: dict[Poll, int] = {}
    for own in by_device.values():
        until.update(zip(own, _ends(own, period), strict=True))
    observed: list[Span] = []
    for poll in ordered:
        if observed and poll.time_ms <= observed[-1][1]:
            observed[-1] = (observed[-1][0], max(observed[-1][1], until[poll]))
        else:
            observed.append((poll.time_ms, until[poll]))
    changes = _changes(_rounds(ordered, until, period))
    pieces: list[ObservedPiece] = []
    at = 0
    for begin, end in observed:
        left = begin
        while left < end:
            while at + 1 < len(changes) and changes[at + 1][0] <= left:
                at += 1
            right = changes[at + 1][0] if at + 1 < len(changes) else end
            pieces.append(ObservedPiece(left, min(right, end), changes[at][1]))
            left = min(right, end)
    return joined(pieces)


def cut_off(
    polls: Iterable[Poll],
    sites: Mapping[str, str],
    period: Period,
    recorded: Sequence[Span] = (),
) -> list[Span]:
    """Returns when the monitor was cut off, from the polls of the whole estate.

    `sites`: device → site. `recorded`: the times of the alert; their true start is
    found here.
    """
    ordered = sorted(set(polls))
    answers = [poll for poll in ordered if poll.up]
    spans: list[Span] = []
    failed: list[Poll] = []
    last = -1
    for poll in [*ordered, None]:
        if poll is not None and not poll.up:
            failed.append(poll)
            continue
        if failed:
            before = answers[last].time_ms if last >= 0 else None
            # A poll that failed just as another was answered means nothing.
            failed = [failure for failure in failed if failure.time_ms != before]
        if poll is not None:
            failed = [failure for failure in failed if failure.time_ms < poll.time_ms]
        if failed:
            end_ms = poll.time_ms if poll else failed[-1].time_ms
            span = failed[0].time_ms, end_ms
            is_recorded = any(a <= span[1] and span[0] < b for a, b in recorded)
            if is_recorded or _is_cut_off(failed, answers, last, sites, period):
                if poll is None:
                    end_ms += period(failed[-1].time_ms)
                spans.append((span[0], end_ms))
        failed = []
        last += 1
    return spans


def clipped(
    pieces: Iterable[ObservedPiece],
    from_ms: int,
    to_ms: int,
    removed: Sequence[Span] = (),
) -> list[ObservedPiece]:
    """Returns the parts of `pieces` inside `[from_ms, to_ms)` and outside `removed`."""
    kept: list[ObservedPiece] = []
    for piece in pieces:
        begin, end = max(piece.from_ms, from_ms), min(piece.to_ms, to_ms)
        if begin >= end:
            continue
        if not removed:
            is_inside = begin == piece.from_ms and end == piece.to_ms
            kept.append(
                piece if is_inside else ObservedPiece(begin, end, piece.up, piece.share)
            )
            continue
        kept += [
            ObservedPiece(first, last, piece.up, piece.share)
            for first, last in without([(begin, end)], removed)
        ]
    return kept


def marks(
    pieces: Sequence[ObservedPiece], spans: Iterable[Span], removed: Iterable[Span] = ()
) -> list[str]:
    """Returns each span's mark for a strip: `ok`, `part`, `bad` or `none` (not
    observed), by what was observed in it outside `removed`. Pieces and spans are each
    in the order of time."""
    left_out = merged(removed)
    marks_of_spans = []
    at = 0
    for begin, end in spans:
        # Most pieces are before this span or after it.
        while at < len(pieces) and pieces[at].to_ms <= begin:
            at += 1
        after = bisect.bisect_left(pieces, (end,))
        seen = clipped(pieces[at:after], begin, end, left_out)
        up = sum(piece.ms for piece in seen if piece.up)
        down = sum(piece.ms for piece in seen if not piece.up)
        if not seen:
            marks_of_spans.append("none")
        elif down < _LEAST_MS:
            marks_of_spans.append("ok")
        else:
            marks_of_spans.append("bad" if up < _LEAST_MS else "part")
    return marks_of_spans


def joined(pieces: Iterable[ObservedPiece]) -> list[ObservedPiece]:
    """Returns `pieces` in order of time, with adjacent ones of one kind joined."""
    runs: list[ObservedPiece] = []
    for piece in pieces:
        if piece.from_ms >= piece.to_ms:
            continue
        last = runs[-1] if runs else None
        if (
            last is not None
            and last.to_ms == piece.from_ms
            and (last.up, last.share) == (piece.up, piece.share)
        ):
            runs[-1] = ObservedPiece(last.from_ms, piece.to_ms, last.up, last.share)
        else:
            runs.append(piece)
    return runs


def _ordered(polls: Iterable[Poll]) -> list[Poll]:
    """Returns them by time; of two rows of one device and time, the last counts."""
    return sorted({(poll.time_ms, poll.device): poll for poll in polls}.values())


def _ends(own: Sequence[Poll], period: Period) -> list[int]:
    """Returns until when each poll of one device counts."""
    ends = []
    for at, poll in enumerate(own):
        period_ms = period(poll.time_ms)
        next_ms = own[at + 1].time_ms if at + 1 < len(own) else None
        if next_ms is not None and next_ms - poll.time_ms < _LATE * period_ms:
            ends.append(next_ms)
        else:
            ends.append(poll.time_ms + period_ms)
    return ends


def _rounds(
    ordered: Sequence[Poll], until: Mapping[Poll, int], period: Period
) -> list[_Round]:
    grouped: list[list[Poll]] = []
    for period_ms, polls in itertools.groupby(
        ordered, key=lambda poll: period(poll.time_ms)
    ):
        grouped += _grouped(list(polls), period_ms)
    rounds = []
    answered: dict[str, int] = {}
    for group in grouped:
        # A device not polled in this round keeps its latest state.
        up = any(poll.up for poll in group)
        if not up:
            names = {poll.device for poll in group}
            up = any(
                until_ms > group[0].time_ms
                for device, until_ms in answered.items()
                if device not in names
            )
        for poll in group:
            answered[poll.device] = until[poll] if poll.up else 0
        rounds.append(_Round(group, up))
    return rounds


def _grouped(polls: Sequence[Poll], period_ms: int) -> list[list[Poll]]:
    """Yields the polls of one period, round by round. A round ends at the longest pause
    of a period, or when a device is polled again."""
    edge_ms = _edge_ms(polls, period_ms)
    grouped: list[list[Poll]] = []
    asked: set[str] = set()
    number = None
    for poll in polls:
        at = (poll.time_ms - edge_ms) // period_ms
        if at != number or poll.device in asked:
            grouped.append([])
            asked = set()
            number = at
        grouped[-1].append(poll)
        asked.add(poll.device)
    return grouped


def _edge_ms(polls: Sequence[Poll], period_ms: int) -> int:
    """Returns when in a period no device is polled: the middle of the longest pause
    between the usual times of the devices. Among equal pauses, the last one counts."""
    step_ms = max(1, period_ms // _PHASES)
    times: dict[str, Counter[int]] = {}
    for poll in polls:
        at = poll.time_ms % period_ms // step_ms
        times.setdefault(poll.device, Counter())[at] += 1
    phases = sorted({own.most_common(1)[0][0] * step_ms for own in times.values()})
    pauses = [
        (phase - before if before < phase else phase - before + period_ms, -phase)
        for before, phase in zip([phases[-1], *phases], phases, strict=False)
    ]
    longest_ms, phase = max(pauses)
    return -phase - longest_ms // 2


def _changes(rounds: Sequence[_Round]) -> list[tuple[int, bool]]:
    """Returns (time, reachable) of every change; the first is the beginning."""
    changes = [(rounds[0].start_ms, rounds[0].up)]
    for before, now in itertools.pairwise(rounds):
        if before.up == now.up:
            continue
        at_ms = now.start_ms
        answers = [p.time_ms for p in (now if now.up else before).polls if p.up]
        if answers and now.up:
            at_ms = min(answers)
        elif answers:
            failed = [p.time_ms for p in before.polls if p.time_ms > max(answers)]
            at_ms = min(failed, default=at_ms)
        # A change before the last one replaces it.
        while changes and changes[-1][0] >= at_ms:
            changes.pop()
        if not changes or changes[-1][1] != now.up:
            changes.append((at_ms, now.up))
    return changes


def _is_cut_off(
    failed: Sequence[Poll],
    answers: Sequence[Poll],
    last: int,
    sites: Mapping[str, str],
    period: Period,
) -> bool:
    silent = {poll.device for poll in failed}
    if len(silent) < _LEAST_DEVICES:
        return False
    if len({sites.get(device, "") for device in silent}) < _LEAST_SITES:
        return False
    near_ms = 2 * period(failed[0].time_ms)
    before = set()
    for poll in reversed(answers[: last + 1]):
        if poll.time_ms < answers[last].time_ms - near_ms:
            break
        before.add(poll.device)
    after = set()
    for poll in answers[last + 1 :]:
        if poll.time_ms > answers[last + 1].time_ms + near_ms:
            break
        after.add(poll.device)
    return (before or after) <= silent
