"""How bad a state is, by its label in a MIB or the text that a device gives
(`severity_words.yaml`)."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import yaml

from collectors.snmp.profiles.profile_types import Severity

_WORDS = re.compile(
    r"kWh|[kK]Pa(?![a-z])|[A-Z]{2,}s(?![a-z])|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+"
)
_SEVERITY_WORDS: dict[Severity, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in yaml.safe_load(
        Path(__file__).with_name("severity_words.yaml").read_text(encoding="utf-8")
    ).items()
}
# Which counts if a label is in several lists, or has words of several.
_OF_ONE_WORD: tuple[Severity, ...] = ("unknown", "ok", "warning", "critical")
_OF_SEVERAL_WORDS: tuple[Severity, ...] = ("critical", "warning", "unknown", "ok")
# The name of states that are judged by their words.
WORDS = "words"
_NEGATIONS = ("no", "not", "non", "without", "in", "un")


def split_words(name: str) -> list[str]:
    """Split `upsBatteryTempC` or `ups_battery` into lower-case words."""
    return [word.lower() for word in _WORDS.findall(name)]


@lru_cache(maxsize=1024)
def severity(label: str) -> Severity:
    """Return ok, warning, critical or unknown for a state's label."""
    words = split_words(label)
    joined = "".join(words)
    sets = _SEVERITY_WORDS
    for alone in _OF_ONE_WORD:
        if joined in sets[alone]:
            return alone
    named = set(words)
    if named & {"resume", "resumed", "clear", "cleared"} and named & sets["critical"]:
        return "ok"
    if {"out", "of"} <= named or "on battery" in " ".join(words):
        return "warning"
    if "non" in words and named & {"recoverable", "critical", "urgent"}:
        return "critical" if "recoverable" in words else "warning"
    negations = [at for at, word in enumerate(words) if word in _NEGATIONS]
    if negations:
        rest = set(words[negations[0] + 1 :])
        if rest & (sets["critical"] | sets["warning"]):
            return "ok"
        if rest & {"ok", "operational", "working", "functioning", "good", "normal"}:
            return "critical"
        return "unknown"
    if "warning" in words or "minor" in words:
        return "warning"
    for name in _OF_SEVERAL_WORDS:
        if named & sets[name]:
            return name
    return "unknown"
