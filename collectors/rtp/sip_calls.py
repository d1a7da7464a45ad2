"""How calls are set up, by their SIP: how long callers wait for a sign, and with which
codes calls end (RFC 6076). Pure, in bounded memory.

A call is followed on one hop, that of the first INVITE. If a proxy forwards it, or
forks it to several telephones, the copies have other branches and do not count again.
"""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from typing import NamedTuple

import msgspec

from collectors.rtp.sip_messages import SipMessage, call_digest

TRYING, FIRST_FINAL, FIRST_REFUSAL, _FIRST_FAILURE = 100, 200, 300, 400
# The request lacked credentials: it is sent again, and only that one is an attempt.
_CHALLENGES = frozenset({401, 402, 407})
# RFC 3261, timer B: a caller gives up on an INVITE that nothing answers.
NO_REPLY_S = 32
# Longer than a call may ring (timer C). Delays are counted by whole ms up to it.
_MOST_DELAY_MS = 300_000


class DelayFigures(msgspec.Struct, kw_only=True):
    """Session request delay: from the INVITE until the first reply that is not 100."""

    calls: int
    mean_ms: float
    p50_ms: int
    p95_ms: int
    max_ms: int


class SipCallFigures(msgspec.Struct, kw_only=True):
    """Calls that began in the capture. `refused`: by final code from 300. `no_reply`:
    not even 100 within 32 seconds. `unfinished`: no final code when the capture ended.
    The failed delay is of final codes from 400 but challenges (401, 402, 407)."""

    attempts: int
    answered: int
    refused: dict[int, int]
    no_reply: int
    unfinished: int
    successful_delay: DelayFigures | None
    failed_delay: DelayFigures | None


class SettledCall(NamedTuple):
    """A call that is set up, or failed. `code` 0: it had no final answer, and if
    `is_unheard` none at all. `delay_ms`: until the first sign but 100."""

    code: int
    delay_ms: int | None
    is_unheard: bool
    caller: bytes


class _CallAttempt:
    __slots__ = (
        *("began_ns", "branch", "caller", "code", "coded_ns", "delay_ms"),
        "is_heard",
    )

    def __init__(self, began_ns: int, branch: bytes, caller: bytes) -> None:
        self.began_ns, self.branch, self.caller = began_ns, branch, caller
        self.coded_ns = 0
        self.is_heard = False
        self.delay_ms: int | None = None
        self.code = 0


class SipCalls:
    """`take` each SIP message, in the order of the capture. It holds the newest `most`
    calls, and only digests of their ids."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._attempts: dict[bytes, _CallAttempt] = {}
        self._outcomes: Counter[str] = Counter()
        self._refused: Counter[int] = Counter()
        self._successful: Counter[int] = Counter()
        self._failed: Counter[int] = Counter()

    def take(self, at_ns: int, call: bytes, message: SipMessage) -> None:
        """`call`: the digest of its Call-ID."""
        if message.about != "INVITE" or not message.branch:
            return
        branch = call_digest(message.branch)
        attempt = self._attempts.get(call)
        if message.method == "INVITE":
            if not message.in_dialog:
                new = _CallAttempt(at_ns, branch, message.caller)
                self._invite(call, new, attempt)
        elif attempt is not None and attempt.branch == branch and not attempt.code:
            attempt.is_heard = True
            if message.status > TRYING and attempt.delay_ms is None:
                passed_ms = round((at_ns - attempt.began_ns) / 1e6)
                attempt.delay_ms = min(max(0, passed_ms), _MOST_DELAY_MS)
            if message.status >= FIRST_FINAL:
                attempt.code, attempt.coded_ns = message.status, at_ns

    def _invite(
        self, call: bytes, new: _CallAttempt, attempt: _CallAttempt | None
    ) -> None:
        if attempt is None:
            self._attempts[call] = new
            if len(self._attempts) > self._most:
                self._settle(
                    self._attempts.pop(next(iter(self._attempts))), new.began_ns
                )
        elif new.branch != attempt.branch and (
            attempt.code in _CHALLENGES
            or FIRST_REFUSAL <= attempt.code < _FIRST_FAILURE
        ):
            # With credentials, or to where the call was redirected.
            self._attempts[call] = new

    def take_settled(self, now_ns: int, is_end: bool = False) -> list[SettledCall]:
        """Removes and returns the calls of which nothing more is to come: half a minute
        after the final code, as they may be sent again with credentials; at once if
        that is the end."""
        settled = []
        for call, attempt in list(self._attempts.items()):
            since_ns = attempt.coded_ns if attempt.code else attempt.began_ns
            most_s: float = NO_REPLY_S
            if attempt.code and is_end:
                most_s = -1
            elif attempt.is_heard and not attempt.code:
                most_s = _MOST_DELAY_MS / 1000
            if now_ns - since_ns > most_s * 1e9:
                del self._attempts[call]
                settled.append(
                    SettledCall(
                        attempt.code,
                        attempt.delay_ms if _has_delay(attempt.code) else None,
                        not attempt.is_heard,
                        attempt.caller,
                    )
                )
        return settled

    def _settle(self, attempt: _CallAttempt, now_ns: int) -> None:
        code, delay_ms = attempt.code, attempt.delay_ms or 0
        if not code:
            waited_s = (now_ns - attempt.began_ns) / 1e9
            is_silent = not attempt.is_heard and waited_s > NO_REPLY_S
            self._outcomes["no_reply" if is_silent else "unfinished"] += 1
        elif code < FIRST_REFUSAL:
            self._outcomes["answered"] += 1
            self._successful[delay_ms] += 1
        else:
            self._refused[code] += 1
            if _has_delay(code):
                self._failed[delay_ms] += 1

    def finish(self, now_ns: int) -> SipCallFigures | None:
        """The figures of all calls; None if none began. It forgets them."""
        for attempt in self._attempts.values():
            self._settle(attempt, now_ns)
        self._attempts = {}
        attempts = self._outcomes.total() + self._refused.total()
        if not attempts:
            return None
        return SipCallFigures(
            attempts=attempts,
            answered=self._outcomes["answered"],
            refused=dict(sorted(self._refused.items())),
            no_reply=self._outcomes["no_reply"],
            unfinished=self._outcomes["unfinished"],
            successful_delay=_delay_figures(self._successful),
            failed_delay=_delay_figures(self._failed),
        )


def _has_delay(code: int) -> bool:
    """Whether the call was answered, or failed: neither redirected nor challenged."""
    is_over = code >= _FIRST_FAILURE and code not in _CHALLENGES
    return is_over or FIRST_FINAL <= code < FIRST_REFUSAL


def _delay_figures(calls_by_ms: Counter[int]) -> DelayFigures | None:
    """Of how many calls took how long; percentiles as in `probes.wire.percentiles`,
    without a list of all calls."""
    calls = calls_by_ms.total()
    if not calls:
        return None
    delays = sorted(calls_by_ms)
    ranks = list(accumulate(calls_by_ms[delay_ms] for delay_ms in delays))

    def percentile(percent: int) -> int:
        least = max(1, (percent * calls + 50) // 100)
        return next(ms for ms, rank in zip(delays, ranks, strict=True) if rank >= least)

    total_ms = sum(delay_ms * count for delay_ms, count in calls_by_ms.items())
    return DelayFigures(
        calls=calls,
        mean_ms=round(total_ms / calls, 1),
        p50_ms=percentile(50),
        p95_ms=percentile(95),
        max_ms=delays[-1],
    )
