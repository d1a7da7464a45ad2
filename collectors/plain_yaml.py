"""Builds plain YAML documents from the parser's events.

The profiles have a million scalars. Without a node for each of them, and without the
search for its type again each time, that takes a third of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import yaml

# As many as the scalars of the largest file. Their values cannot be changed, so they
# can be shared.
_KEPT_SCALARS = 2**14


class NotPlain(Exception):
    """The document has anchors, tags, merges, keys that are no scalars or appear twice,
    or is one of several: only its nodes show what it means."""


def build_plain(text: str, loader_class: Any) -> Any:
    """The document in `text`; None if it is empty. Raises `NotPlain`, `YAMLError`."""
    loader = loader_class(text)
    try:
        next_event = loader.get_event
        next_event()  # the start of the stream
        event = next_event()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        document = _build(next_event(), next_event)
        next_event()  # the end of the document
        if not isinstance(next_event(), yaml.StreamEndEvent):
            raise NotPlain
    finally:
        loader.dispose()
    return document


def _build(event: Any, next_event: Callable[[], Any]) -> Any:
    """The value that begins with `event`."""
    kind = type(event)
    if kind is yaml.AliasEvent or event.anchor is not None or event.tag is not None:
        raise NotPlain
    if kind is yaml.ScalarEvent:
        return _typed(event.value) if event.implicit[0] else event.value
    if kind is yaml.SequenceStartEvent:
        items = []
        while type(event := next_event()) is not yaml.SequenceEndEvent:
            items.append(_build(event, next_event))
        return items
    values, names = {}, set()
    while type(event := next_event()) is not yaml.MappingEndEvent:
        if type(event) is not yaml.ScalarEvent or event.value in names:
            raise NotPlain
        names.add(event.value)
        key = _build(event, next_event)
        values[key] = _build(next_event(), next_event)
    return values


@lru_cache(_KEPT_SCALARS)
def _typed(word: str) -> Any:
    """What a word without quotes is: a number, a date, nothing, yes or no, or text."""
    resolver: Any = yaml.resolver.Resolver()
    tag = resolver.resolve(yaml.ScalarNode, word, (True, False))
    if tag == "tag:yaml.org,2002:str":
        return word
    node = yaml.ScalarNode(tag, word)
    constructor = yaml.constructor.SafeConstructor()
    try:
        return constructor.construct_document(node)
    except (yaml.YAMLError, ValueError):
        # A merge, or a date that does not exist: the nodes show it with its line.
        raise NotPlain from None
