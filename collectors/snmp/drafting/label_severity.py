"""How bad a state is, by its label in a MIB. Pure."""

from __future__ import annotations

from collectors.snmp.drafting.mib_words import WORD_LISTS, split_words

_NEGATIONS = ("no", "not", "non", "without", "in", "un")


def severity(label: str) -> str:
    """Return ok, warning, critical or unknown for a state's label."""
    words = split_words(label)
    joined = "".join(words)
    sets = WORD_LISTS.severities
    for name in ("unknown", "ok", "warning", "critical"):
        if joined in sets[name]:
            return name
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
    for name in ("critical", "warning", "unknown", "ok"):
        if named & sets[name]:
            return name
    return "unknown"
