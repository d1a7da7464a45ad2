"""How bad a notification is, and how its values read. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from collectors.snmp.session.ber import IP_ADDRESS, OID, TICKS
from collectors.snmp.session.octet_text import text
from collectors.snmp.session.session import Value
from probes.wire.durations import duration_text

Severity = Literal["ok", "info", "notice", "warning", "critical"]
LEVELS: dict[Severity, int] = {
    "ok": 0,
    "info": 1,
    "notice": 2,
    "warning": 3,
    "critical": 4,
}
_LONGEST = 200
# What a name or a text that no table knows says about itself. The first that is found
# counts: a "failure cleared" is no failure, and "not responding" has an ending of "ok".
_WORDS: tuple[tuple[Severity, str], ...] = (
    (
        "warning",
        r"\b(not|no longer|un)[ -]?(ok|normal|available|reachable|responding"
        r"|present|established|connected|authori[sz]ed)",
    ),
    (
        "ok",
        r"clear(ed|s)?\b|restor|recover|resolved|return(ed)? (from|to normal)"
        r"|back to|\bnormal|\bok(ay)?\b|\bup\b|established|reachable|connected\b"
        r"|\bpassed\b|success|\bcompleted?\b|\bfinished\b"
        r"|alarm ?(end|cease|off|removed)|in[ -]?active"
        r"|deasserted|no longer|\bready\b|\bended?\b|powered? ?on\b|detected ok",
    ),
    (
        "critical",
        r"critical|emergency|fatal|major|fail(ed|ure|s)?\b|fault|\bdead\b|dying"
        r"|on fire|shut(ting)? ?down|exhaust|overload|over ?temp"
        r"|low ?battery|discharged|\bdown\b|unavailable|unreachable|\blost\b|loss"
        r"|\bstopped\b|panic|crash",
    ),
    (
        "warning",
        r"warn|minor|alarm|alert|error|exceed|out of range|threshold|violat|denied"
        r"|reject|high|low\b|near|degrad|disconnect|timeout|expire|attack|intrusion"
        r"|duplicate|loop|missing|removed|reboot|restart|cold ?start|warm ?start"
        r"|\boff\b|not responding|on ?battery|bypass|conflict|invalid|abnormal"
        r"|open\b|too (hot|cold|long)|jam\b|blocked|mismatch",
    ),
    (
        "notice",
        r"change|authenti|login|logout|logon|topology|new ?root|switch ?over"
        r"|takeover|master|backup|insert|added|deleted|created|update",
    ),
)
_SPEAKS = tuple(
    (severity, re.compile(words, re.IGNORECASE)) for severity, words in _WORDS
)
# A variable that is nothing but such a word is what the sender itself thinks of it.
_STATED: tuple[tuple[Severity, str], ...] = (
    ("ok", "ok success successful succeeded normal clear cleared resolved good"),
    ("ok", "passed inactive deactivated recovered healthy restored"),
    ("critical", "critical major error emergency fatal fail failed failure severe"),
    ("warning", "warning minor warn alert degraded"),
    ("notice", "notice"),
    ("info", "info informational information debug"),
)
_STATES = {word: severity for severity, words in _STATED for word in words.split()}
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def worded(name: str) -> str:
    """`ciscoEnvMonFanNotification` as "cisco env mon fan notification"."""
    return " ".join(word.lower() for word in _WORD.findall(name))


def snaked(name: str) -> str:
    return "_".join(word.lower() for word in _WORD.findall(name))


def stated(values: Iterable[str]) -> Severity | None:
    """What the sender says itself: well, if it says so at all, else the worst."""
    words = (value.strip(' "').lower() for value in values)
    found = {_STATES[word] for word in words if word in _STATES}
    if "ok" in found:
        return "ok"
    return max(found, key=LEVELS.__getitem__, default=None)


def guess(*texts: str) -> Severity:
    """How bad, by the words of a name or a message; `info` where none tells."""
    for spoken in texts:
        for severity, pattern in _SPEAKS:
            if pattern.search(spoken):
                return severity
    return "info"


def readable(tag: int, value: Value | None) -> str:
    """A value for a person, without knowing what it is: at most 200 characters."""
    if value is None:
        return "nothing"
    if tag == TICKS and isinstance(value, int):
        return duration_text(value // 100)
    if isinstance(value, bytes):
        return _octets(value)
    if tag in (OID, IP_ADDRESS) or isinstance(value, str):
        return str(value)[:_LONGEST]
    return str(value)


def _octets(value: bytes) -> str:
    if len(value) in (8, 11) and not value[:2].isalnum() and _is_date(value):
        year = int.from_bytes(value[:2], "big")
        month, day, hour, minute, second = value[2:7]
        return f"{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
    if len(value) == 6 and not all(32 <= octet < 127 for octet in value):
        return value.hex(":")
    shown = text(value[: 2 * _LONGEST]) or ""
    # An empty text in front of nothing: DisplayStrings are often that.
    return shown[:_LONGEST]


def _is_date(value: bytes) -> bool:
    """True for a DateAndTime (RFC 2579) of this age."""
    return (
        1990 <= int.from_bytes(value[:2], "big") <= 2100
        and 1 <= value[2] <= 12
        and 1 <= value[3] <= 31
        and value[4] < 24
        and value[5] < 60
    )
