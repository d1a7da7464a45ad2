"""Guesses the severity of a notification, and formats its values. Pure."""

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
_MAX_TEXT = 200
# Words of names and texts that no table knows. The order matters, as the first match
# counts: "failure cleared" is not a failure, and "not responding" contains
# "responding".
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
_PATTERNS = tuple(
    (severity, re.compile(stripped, re.IGNORECASE)) for severity, stripped in _WORDS
)
# A variable whose whole value is such a word is the sender's own severity.
_STATED_WORDS: tuple[tuple[Severity, str], ...] = (
    ("ok", "ok success successful succeeded normal clear cleared resolved good"),
    ("ok", "passed inactive deactivated recovered healthy restored"),
    ("critical", "critical major error emergency fatal fail failed failure severe"),
    ("warning", "warning minor warn alert degraded"),
    ("notice", "notice"),
    ("info", "info informational information debug"),
)
_SEVERITY_OF_WORD = {
    word: severity for severity, stripped in _STATED_WORDS for word in stripped.split()
}
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def split_words(name: str) -> str:
    """Return `ciscoEnvMonFanNotification` as "cisco env mon fan notification"."""
    return " ".join(word.lower() for word in _WORD.findall(name))


def to_snake_case(name: str) -> str:
    return "_".join(word.lower() for word in _WORD.findall(name))


def find_stated_severity(values: Iterable[str]) -> Severity | None:
    """Return the severity that the sender itself states: `ok` if a value says so, else
    the worst one stated, or None."""
    stripped = (value.strip(' "').lower() for value in values)
    severities = {
        _SEVERITY_OF_WORD[word] for word in stripped if word in _SEVERITY_OF_WORD
    }
    if "ok" in severities:
        return "ok"
    return max(severities, key=LEVELS.__getitem__, default=None)


def guess_severity(*texts: str) -> Severity:
    """Guess the severity from the words of names or messages; `info` if none match."""
    for sentence in texts:
        for severity, pattern in _PATTERNS:
            if pattern.search(sentence):
                return severity
    return "info"


def format_value(tag: int, value: Value | None) -> str:
    """Format a value of unknown meaning, in at most 200 characters."""
    if value is None:
        return "nothing"
    if tag == TICKS and isinstance(value, int):
        return duration_text(value // 100)
    if isinstance(value, bytes):
        return _format_octets(value)
    if tag in (OID, IP_ADDRESS) or isinstance(value, str):
        return str(value)[:_MAX_TEXT]
    return str(value)


def _format_octets(value: bytes) -> str:
    if len(value) in (8, 11) and not value[:2].isalnum() and _is_date(value):
        year = int.from_bytes(value[:2], "big")
        month, day, hour, minute, second = value[2:7]
        return f"{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
    if len(value) == 6 and not all(32 <= octet < 127 for octet in value):
        return value.hex(":")
    shown = text(value[: 2 * _MAX_TEXT]) or ""
    return shown[:_MAX_TEXT]


def _is_date(value: bytes) -> bool:
    """Return True if the octets are a DateAndTime (RFC 2579) from 1990 to 2100."""
    return (
        1990 <= int.from_bytes(value[:2], "big") <= 2100
        and 1 <= value[2] <= 12
        and 1 <= value[3] <= 31
        and value[4] < 24
        and value[5] < 60
    )
