"""What the words of MIB authors mean (`words.yaml`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml


class WordLists(msgspec.Struct):
    """The lists of `words.yaml`."""

    not_now: frozenset[str]
    owners: frozenset[str]
    never_now: frozenset[str]
    radio: frozenset[str]
    settings: frozenset[str]
    texts: frozenset[str]
    trouble: frozenset[str]
    states: frozenset[str]
    signs: dict[str, frozenset[str]]
    counted: frozenset[str]
    now: frozenset[str]
    shares: frozenset[str]
    results: frozenset[str]
    usage: frozenset[str]
    no_processor: frozenset[str]
    no_memory: frozenset[str]
    other_devices: frozenset[str]
    wireless: frozenset[str]
    counting: frozenset[str]
    client_events: frozenset[str]
    radio_context: frozenset[str]
    mobile: frozenset[str]
    other_channels: frozenset[str]
    other_signals: frozenset[str]
    no_radio: frozenset[str]
    no_radio_tables: frozenset[str]
    no_radio_index: frozenset[str]


def _load_words() -> WordLists:
    file = Path(__file__).with_name("words.yaml")
    lists = yaml.safe_load(file.read_text(encoding="utf-8"))
    return msgspec.convert(
        {name: _to_words(content) for name, content in lists.items()}, WordLists
    )


def _to_words(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: content[key].split() for key in content}
    return content.split()


WORD_LISTS = _load_words()
