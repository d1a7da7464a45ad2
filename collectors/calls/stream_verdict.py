"""Microsoft's rule for good, poor and unclassified streams. Pure; the thresholds are in
`stream_rules.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal

import msgspec

from collectors.calls.call_record import MEDIA, Media, Verdict
from probes.wire.sample import Value

RuleForm = Literal["latest", "older"]
StreamFigures = Mapping[str, float | None]


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stream with this figure above or below a value is poor. Both are strict."""

    figure: str
    above: float = float("inf")
    below: float = float("-inf")

    def is_passed(self, value: float) -> bool:
        """Returns whether that value makes a stream poor."""
        return value > self.above or value < self.below


class StreamRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits of one kind of media: `any` or `first` has them."""

    any: tuple[Limit, ...] = ()
    first: tuple[Limit, ...] = ()

    def verdict(self, figures: StreamFigures) -> tuple[Verdict, tuple[str, ...]]:
        """Returns whether a stream is poor, and which figures make it so."""
        known = [
            (limit, value)
            for limit in (*self.any, *self.first)
            if (value := figures.get(limit.figure)) is not None
        ]
        if not known or figures.get("packets") == 0:
            return "unclassified", ()
        if self.first:
            known = known[:1]
        due_to = tuple(limit.figure for limit, value in known if limit.is_passed(value))
        return ("poor" if due_to else "good"), due_to


class StreamRules(msgspec.Struct, frozen=True):
    """One form of Microsoft's rule, and what the labels of media mean."""

    source: str
    by_media: Mapping[Media, StreamRule]
    labels: Mapping[str, Media | Literal[""]]


@cache
def load_stream_rules(form: RuleForm = "latest") -> StreamRules:
    """Returns the rule in one of its forms."""
    text = resources.files(__package__).joinpath("stream_rules.toml").read_text("utf-8")
    tables = tomllib.loads(text)
    rules = {m: msgspec.convert(tables[form][m], StreamRule) for m in MEDIA}
    labels = msgspec.convert(tables["labels"], dict[str, Media | Literal[""]])
    return StreamRules(tables[form]["source"], rules, labels)


def poor_share(poor: int, good: int) -> float | None:
    """Returns poor / (poor + good): unclassified streams do not count. None if there
    is neither."""
    return poor / (poor + good) if poor + good else None


def verdict_fields(good: int, poor: int, unclassified: int) -> dict[str, Value]:
    """Returns the fields of counts that a person exported; none if all are 0."""
    streams = good + poor + unclassified
    if not streams:
        return {}
    fields: dict[str, Value] = {
        "streams": streams,
        "unclassified_ratio": unclassified / streams,
        "classified": good + poor,
    }
    share = poor_share(poor, good)
    return fields if share is None else {**fields, "poor_ratio": share}
