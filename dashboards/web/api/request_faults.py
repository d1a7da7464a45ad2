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
_TIME = re.compile(
    r"invalid RFC3339 encoded datetime|invalid epoch timestamp.*"
    r"|expected `datetime` with a timezone component"
)
_LENGTH = re.compile(r"(.*) of length (<=|>=) (\d+)")
_BOUNDS = {"<=": "at most", ">=": "at least"}
_REGEX = re.compile(r" matching regex .*", re.DOTALL)
_LONGEST = 60
WRONG_TIME = (
    "expected a time with its offset from UTC, such as 2026-11-20T09:00:00Z or "
    "2026-11-20T09:00:00%2B01:00 (%2B is how an address has the sign +)"
)


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
    sentence = _TIME.sub(WRONG_TIME, sentence)
    if pattern := _REGEX.search(sentence):
        form = " of the form in /api/v1/openapi.json"
        for example in _examples(_type_of(wanted, where)):
            form = f" such as {example!r}"
        if r"\x1f" in pattern[0]:
            form += ", on one line, without control characters"
        sentence = _REGEX.sub(lambda _: form, sentence)
    sentence = _LENGTH.sub(
        lambda read: f"{read[1]}, {_BOUNDS[read[2]]} {read[3]} long", sentence
    )
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


def _type_of(wanted: type[msgspec.Struct], where: str) -> msgspec.inspect.Type | None:
    """The type of a field, or of its items for `where[0]`."""
    info = msgspec.inspect.type_info(wanted)
    assert isinstance(info, msgspec.inspect.StructType)
    name, _, index = where.partition("[")
    for field in info.fields:
        if field.encode_name == name:
            kind = field.type
            while isinstance(kind, msgspec.inspect.Metadata) and index:
                kind = kind.type
            if index and isinstance(kind, msgspec.inspect.VarTupleType):
                kind = kind.item_type
            return kind
    return None


def _examples(kind: msgspec.inspect.Type | None) -> Iterable[str]:
    """Those in the metadata of a type, and of what a union has."""
    if isinstance(kind, msgspec.inspect.Metadata):
        yield from (kind.extra_json_schema or {}).get("examples", ())
        yield from _examples(kind.type)
    elif isinstance(kind, msgspec.inspect.UnionType):
        for one in kind.types:
            yield from _examples(one)


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
