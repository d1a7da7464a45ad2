"""A hundred sentences that differ in a name are one sentence with examples."""

from __future__ import annotations

import re
from collections.abc import Iterable

from probes.wire.counted_text import counted

# What names something: what is quoted, a word with a digit, a word after one of these.
_NOUNS = (
    "site",
    "device",
    "line",
    "subnet",
    "reflector",
    "gateway",
    "credential",
    "of",
)
_AFTER_NOUN = "|".join(rf"(?<=\b{noun} )" for noun in _NOUNS)
_NAME = re.compile(
    rf"""(?<!\w)(["']).*?\1|(?:{_AFTER_NOUN})[^\s:,;]+|[^\s:,;()]*\d[^\s:,;()]*"""
)
_MOST_EXAMPLES = 3


def group_alike(sentences: Iterable[str], least: int = 2) -> list[str]:
    """Returns the sentences in order; of `least` or more that say the same of several,
    the first, with how many more there are and examples of their names."""
    groups: dict[str, list[str]] = {}
    for sentence in sentences:
        groups.setdefault(_NAME.sub("*", sentence), []).append(sentence)
    return [
        sentence
        for alike in groups.values()
        for sentence in ([_summed_up(alike)] if len(alike) >= least else alike)
    ]


def _summed_up(alike: list[str]) -> str:
    first, *others = alike
    if not others:
        return first
    examples = [_difference(first, other) for other in others[:_MOST_EXAMPLES]]
    rest = len(others) - len(examples)
    names = ", ".join(examples) + (f" and {counted(rest, 'other')}" if rest else "")
    return f"{first} ({len(others)} more like this: {names})"


def _difference(first: str, other: str) -> str:
    """The name in the other sentence that is another in the first."""
    pairs = zip(_NAME.finditer(first), _NAME.finditer(other), strict=True)
    return next((b[0] for a, b in pairs if a[0] != b[0]), "the same")
