"""Reads a request and writes its answer: parameters, bodies, versions. Pure, but for
the reading of a body."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import urllib.parse
from typing import Any

import msgspec
from starlette.requests import Request

from collectors.limited_body import read_limited
from dashboards.web.api.api_problem import ApiProblem

MOST_BODY_BYTES = 65_536
_MOST_PARAMETERS = 200


def read_query(raw: bytes, wanted: type[msgspec.Struct]) -> msgspec.Struct:
    """The parameters of an address. Raises `ApiProblem` with a sentence."""
    try:
        pairs = urllib.parse.parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except UnicodeDecodeError:
        raise ApiProblem(400, "the parameters are not UTF-8") from None
    except ValueError:
        raise ApiProblem(400, f"more than {_MOST_PARAMETERS} parameters") from None
    lists = list_fields(wanted)
    values: dict[str, Any] = {name: [] for name in lists}
    for name, text in pairs:
        if name in lists:
            values[name].append(text)
        elif name in values:
            raise ApiProblem(400, f"{_shown(name)}: given twice")
        else:
            values[name] = text
    given = {name: value for name, value in values.items() if value != []}
    try:
        return msgspec.convert(given, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise ApiProblem(400, explain(error)) from None


def read_body(body: bytes, wanted: type[msgspec.Struct]) -> msgspec.Struct:
    """A body of JSON. Raises `ApiProblem`: 400 if it is no JSON, 422 if it does not
    fit."""
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.ValidationError as error:
        raise ApiProblem(422, explain(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiProblem(400, f"the body is not JSON: {error}") from None


async def receive_body(request: Request) -> bytes:
    """Raises `ApiProblem` if it is too large, or not plain JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiProblem(
            415,
            "expected Content-Type: application/json",
            {"Accept": "application/json"},
        )
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise ApiProblem(
            415, "expected no Content-Encoding", {"Accept-Encoding": "identity"}
        )
    length = request.headers.get("content-length", "0")
    too_large = ApiProblem(413, f"expected at most {MOST_BODY_BYTES} bytes")
    if length.isdecimal() and len(length) < 12 and int(length) > MOST_BODY_BYTES:
        raise too_large
    body = await read_limited(request.stream(), MOST_BODY_BYTES)
    if body is None:
        raise too_large
    return body


def etag_of(body: bytes) -> str:
    """The version of a document: the same bytes have the same."""
    digest = hashlib.blake2b(body, digest_size=12).digest()
    return f'"{base64.urlsafe_b64encode(digest).decode()}"'


def is_match(header: str, etag: str, weak: bool = False) -> bool:
    """Whether a list of versions, or `*`, has this one. `weak`: as If-None-Match
    compares."""
    if header.strip() == "*":
        return True
    listed = [one.strip() for one in header.split(",")]
    if weak:
        listed = [one.removeprefix("W/") for one in listed]
    return etag in listed


@functools.cache
def list_fields(wanted: type[msgspec.Struct]) -> frozenset[str]:
    """The parameters that may be given several times."""
    info = msgspec.inspect.type_info(wanted)
    assert isinstance(info, msgspec.inspect.StructType)
    return frozenset(field.encode_name for field in info.fields if _is_list(field.type))


def _is_list(type_: msgspec.inspect.Type) -> bool:
    if isinstance(type_, msgspec.inspect.Metadata):
        return _is_list(type_.type)
    return isinstance(type_, msgspec.inspect.ListType | msgspec.inspect.VarTupleType)


_TYPE_WORDS = {
    "`int`": "a whole number",
    "`float`": "a number",
    "`str`": "a text",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "an object",
}
_FIELD = re.compile(r"object (missing required|contains unknown) field (`[^`]*`)")
_REGEX = re.compile(r" matching regex .*", re.DOTALL)


def explain(error: msgspec.ValidationError) -> str:
    """`limit: expected a whole number >= 1`, without the words of a library."""
    text, _, path = str(error).partition(" - at `")
    where = path.rstrip("`").removeprefix("$").removeprefix(".")
    sentence = text[:1].lower() + text[1:]
    if field := _FIELD.fullmatch(sentence):
        is_missing = field[1].startswith("missing")
        sentence = f"{field[2]} is {'missing' if is_missing else 'not known here'}"
    sentence = _REGEX.sub(" of the form in /api/v1/openapi.json", sentence)
    for name, words in _TYPE_WORDS.items():
        sentence = sentence.replace(name, words)
    return f"{where}: {sentence}" if where else sentence


def _shown(name: str) -> str:
    return name[:60]
