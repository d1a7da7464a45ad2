"""`towpath api token …` and `towpath alerts token`, `tokens`, `withdraw`: tokens for
programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from zoneinfo import ZoneInfo

from alerts.api_tokens import ALERT_SCOPES, ApiToken, ApiTokens
from alerts.clock_text import clock_text
from probes.wire.catalogue import did_you_mean
from probes.wire.durations import parse_duration_ms

Out = Callable[[str], None]
_LONGEST_MS = 400 * 86_400_000


def make_token(
    tokens: ApiTokens,
    name: str,
    valid: str,
    who: str,
    now_ms: int,
    out: Out,
    scopes: Iterable[str] = ALERT_SCOPES,
) -> int:
    """Prints a new token, which is shown only now. Returns an exit code."""
    try:
        lasting_ms = parse_duration_ms(valid)
        if not 0 < lasting_ms <= _LONGEST_MS:
            raise ValueError("expected more than nothing, at most 400d")
    except ValueError as error:
        out(f"--valid: {error}")
        return 2
    try:
        secret = tokens.make(name, who, now_ms + lasting_ms, now_ms, scopes)
    except ValueError as error:
        out(str(error))
        return 2
    out(secret)
    return 0


def list_tokens(
    tokens: ApiTokens, with_audit: bool, now_ms: int, timezone: str, out: Out
) -> int:
    """Lists the tokens, or what was done with them."""
    zone = ZoneInfo(timezone)
    if with_audit:
        for entry in tokens.audit():
            why = f": {entry.why}" if entry.why else ""
            out(
                f"{clock_text(entry.at_ms, zone)}  {entry.token}  {entry.action} "
                f"{entry.about}, {entry.who}{why}: {entry.outcome}"
            )
        return 0
    known = tokens.tokens()
    for token in known:
        used = "never used"
        if token.used_ms is not None:
            used = f"last used {clock_text(token.used_ms, zone)}"
        scopes = ", ".join(sorted(token.scopes))
        out(
            f"{token.name}  {_state(token, now_ms, zone)}, {used}, by {token.made_by}: "
            f"{scopes}"
        )
    if not known:
        out("there are no tokens: make one with `towpath api token new NAME`")
    return 0


def withdraw_token(
    tokens: ApiTokens, name: str, who: str, now_ms: int, out: Out
) -> int:
    if tokens.revoke(name, who, now_ms):
        out(f"the token {name!r} does nothing any more")
        return 0
    known = [token.name for token in tokens.tokens() if token.revoked_ms is None]
    out(f"no token in use is called {name!r}{did_you_mean(name, known)}")
    return 2


def unknown_scopes(scopes: Iterable[str], known: Iterable[str]) -> str:
    """Which of them do not exist, as a sentence; empty if all do."""
    there = list(known)
    for scope in scopes:
        if scope not in there:
            return (
                f"no scope is called {scope!r}{did_you_mean(scope, there)}; expected "
                f"{', '.join(there)}"
            )
    return ""


def _state(token: ApiToken, now_ms: int, zone: ZoneInfo) -> str:
    if token.revoked_ms is not None:
        return f"withdrawn {clock_text(token.revoked_ms, zone)} by {token.revoked_by}"
    ends = clock_text(token.until_ms, zone)
    return f"expired {ends}" if now_ms >= token.until_ms else f"valid until {ends}"
