"""Which of a device's polled parts an event is about, by what both call it. Pure.

A trap says "PS1" or "Switch 1 - Power Supply B", and the table that is polled calls the
same part "Power supply 1" or "Sw1, PSB Normal". No list of all names exists, so names
are compared by their words, and by the numbers and letters that tell parts apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORDS = re.compile(r"[a-z]+|[0-9]+")


def named_parts(about: str, names: Iterable[str]) -> set[str]:
    """Those of `names` that `about` fits best; empty if it fits none of them."""
    ranks = {name: _fit(about, name) for name in names}
    best = max(ranks.values(), default=0)
    return {name for name, rank in ranks.items() if rank == best} if best else set()


def _fit(about: str, name: str) -> int:
    """3: the same words. 2: all words of one are in the other. 1: the same numbers, or
    the last ones of them. 0: not the same part, or nothing tells."""
    words, others = _words(about), _words(name)
    if not words or not others:
        return 0
    if words == others:
        return 3
    labels, other_labels = _labels(words), _labels(others)
    shorter = min(len(labels), len(other_labels))
    if shorter:
        if labels[-shorter:] != other_labels[-shorter:]:
            return 0
        return 2 if _includes(words, others) else 1
    return 2 if _includes(words, others) and labels == other_labels else 0


def _words(name: str) -> list[str]:
    return [
        word.lstrip("0") or "0" if word.isdigit() else word
        for word in _WORDS.findall(name.casefold())
    ]


def _labels(words: list[str]) -> list[str]:
    """What tells parts of one kind apart: numbers and single letters."""
    return [word for word in words if word.isdigit() or len(word) == 1]


def _includes(words: list[str], others: list[str]) -> bool:
    return set(words) <= set(others) or set(others) <= set(words)
