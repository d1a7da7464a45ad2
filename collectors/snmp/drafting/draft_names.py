"""Names in a drafted profile: of columns, tables and enumerations. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from collectors.snmp.drafting.state_meaning import EnumeratedObject
from collectors.snmp.profiles.label_severity import WORDS

# YAML reads these as yes, no or nothing.
_YAML_WORDS = {"on", "off", "yes", "no", "true", "false", "null", "y", "n"}


class StateNames:
    """Enumerations by content, each with a name."""

    def __init__(self) -> None:
        self.names: dict[tuple[tuple[int, tuple[str, str]], ...], str] = {}

    def name_of(self, found: EnumeratedObject, words: Sequence[str]) -> str:
        key = tuple(sorted(found.states.items()))
        if key not in self.names:
            taken = {WORDS, *self.names.values()}
            self.names[key] = take_unused(to_key(words), taken)
        return self.names[key]

    def lines(self) -> Iterator[str]:
        for content, name in self.names.items():
            pairs = ", ".join(f'{n}: ["{label}", {s}]' for n, (label, s) in content)
            yield f"  {name}: {{{pairs}}}"


def to_key(words: Iterable[str]) -> str:
    """Return the words as a name that YAML reads as a text."""
    joined = re.sub(r"[^a-z0-9_]", "", "_".join(words))
    if joined in _YAML_WORDS:
        return f"is_{joined}"
    return joined if joined[:1].isalpha() else f"n{joined}"


def take_unused(name: str, taken: set[str]) -> str:
    """Return the name, with a number if it is taken already, and take it."""
    free, n = name, 1
    while free in taken:
        n += 1
        free = f"{name}_{n}"
    taken.add(free)
    return free
