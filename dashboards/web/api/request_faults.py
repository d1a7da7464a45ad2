"""Says what is wrong with a request's parameters or body, in plain words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from probes.wire.catalogue import did_you_mean

_TYPE_WORDS = {
    "`int`": "a whole number",
    "`float`": "a number",
    "`str`": "a text",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "an object",
}
_FIELD = re.compile(r"object (missing required|contains unknown) field `([^`]*)`")
_OPTION = re.compile(r"invalid enum value (.*)", re.DOTALL)
_TIME = re.compile(r"invalid RFC3339 encoded datetime|invalid epoch timestamp.*")
_REGEX = re.compile(r" matching regex .*", re.DOTALL)
_LONGEST = 60


def explain(error: msgspec.ValidationError, wanted: type[msgspec.Struct]) -> str:
    """`limit: expected a whole number >= 1`, without the words of a library. `wanted`:
    what the request was read as."""
    text, _, path = str(error).partition(" - at `")
    where = path.rstrip("`").removeprefix("$").removeprefix(".")
    sentence = text[:1].lower() + text[1:]
    if field := _FIELD.fullmatch(sentence):
        name = field[2][:_LONGEST]
        if field[1].startswith("missing"):
            sentence = f"`{name}` is missing"
        else:
            sentence = f"`{name}` is not known here{did_you_mean(name, _names(wanted))}"
    elif option := _OPTION.fullmatch(sentence):
        known = sorted(_options(wanted, where.partition("[")[0]))
        given = option[1][:_LONGEST].strip("'")
        sentence = f"{given!r} is none of {', '.join(known)}"
        sentence += did_you_mean(given, known)
    sentence = _TIME.sub("expected a time such as 2026-11-20T09:00:00Z", sentence)
    sentence = _REGEX.sub(" of the form in /api/v1/openapi.json", sentence)
    for name, words in _TYPE_WORDS.items():
        sentence = sentence.replace(name, words)
    return f"{where}: {sentence}" if where else sentence


def _names(wanted: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(wanted)]


def _options(wanted: type[msgspec.Struct], name: str) -> Iterable[str]:
    """The texts that a parameter or field may have."""
    info = msgspec.inspect.type_info(wanted)
    assert isinstance(info, msgspec.inspect.StructType)
    for field in info.fields:
        if field.encode_name == name:
            yield from _texts(field.type)


def _texts(type_: msgspec.inspect.Type) -> Iterable[str]:
    if isinstance(type_, msgspec.inspect.LiteralType):
        yield from (str(value) for value in type_.values)
    elif isinstance(type_, msgspec.inspect.EnumType):
        yield from (str(member.value) for member in type_.cls)
    elif isinstance(type_, msgspec.inspect.UnionType):
        for one in type_.types:
            yield from _texts(one)
    elif isinstance(type_, msgspec.inspect.Metadata):
        yield from _texts(type_.type)
