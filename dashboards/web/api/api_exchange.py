"""Reads a request and writes its answer: parameters, bodies, versions. Pure, but for
the reading of a body."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request

from collectors.limited_body import read_limited
from dashboards.web.api.api_problem import ApiProblem
from dashboards.web.api.request_faults import WRONG_TIME, explain
from dashboards.web.gzip_coding import version_of

MOST_BODY_BYTES = 65_536
_MOST_PARAMETERS = 200
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")


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
    _check_texts(given, wanted)
    try:
        read = msgspec.convert(given, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise ApiProblem(400, explain(error, wanted)) from None
    for field in msgspec.structs.fields(wanted):
        # The text `null` was read as if the parameter were left out.
        if field.encode_name in given and getattr(read, field.name) is None:
            raise ApiProblem(400, f"{field.encode_name}: leave it out instead of null")
    return read


def _check_texts(given: Mapping[str, Any], wanted: type[msgspec.Struct]) -> None:
    """Refuses what msgspec would read as a time or number though the description does
    not allow it: seconds since 1970, and `1e2`."""
    for name, kind in _scalar_fields(wanted).items():
        text = given.get(name)
        if not isinstance(text, str) or text.casefold() == "null":
            continue
        if kind == "time" and "T" not in text.upper():
            raise ApiProblem(400, f"{name}: {WRONG_TIME}")
        if kind == "whole" and not _WHOLE.fullmatch(text):
            raise ApiProblem(400, f"{name}: expected a whole number")


def read_body(body: bytes, wanted: type[msgspec.Struct]) -> msgspec.Struct:
    """A body of JSON. Raises `ApiProblem`: 400 if it is no JSON, 422 if it does not
    fit."""
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.ValidationError as error:
        raise ApiProblem(422, explain(error, wanted)) from None
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
    """Whether a list of versions, or `*`, has this one, compressed or not. `weak`: as
    If-None-Match compares."""
    listed = [version_of(one.strip()) for one in header.split(",")]
    if listed == ["*"]:
        return True
    if weak:
        listed = [one.removeprefix("W/") for one in listed]
    return etag in listed


def accepts(header: str, kind: str) -> bool:
    """Whether a header `Accept` lets an answer be of that media type (RFC 9110 section
    12.5.1): what names it most closely decides. Parts that cannot be read are left out,
    and if there is no other, anything is accepted. `kind` is `*/*` if the type is not
    known beforehand."""
    if kind == "*/*":
        return True
    names = [kind, f"{kind.partition('/')[0]}/*", "*/*"]
    weights: dict[str, float] = {}
    for part in header.split(","):
        name, *parameters = (text.strip().lower() for text in part.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        if "/" in name and _QUALITY.fullmatch(quality):
            weights[name] = max(float(quality), weights.get(name, 0.0))
    known = [weights[name] for name in names if name in weights]
    return known[0] > 0 if known else not weights


@functools.cache
def list_fields(wanted: type[msgspec.Struct]) -> frozenset[str]:
    """The parameters that may be given several times."""
    info = msgspec.inspect.type_info(wanted)
    assert isinstance(info, msgspec.inspect.StructType)
    return frozenset(field.encode_name for field in info.fields if _is_list(field.type))


@functools.cache
def _scalar_fields(wanted: type[msgspec.Struct]) -> Mapping[str, str]:
    """Which parameters are times, and which whole numbers."""
    info = msgspec.inspect.type_info(wanted)
    assert isinstance(info, msgspec.inspect.StructType)
    kinds = {field.encode_name: _scalar(field.type) for field in info.fields}
    return {name: kind for name, kind in kinds.items() if kind}


def _scalar(type_: msgspec.inspect.Type) -> str:
    if isinstance(type_, msgspec.inspect.Metadata):
        return _scalar(type_.type)
    if isinstance(type_, msgspec.inspect.UnionType):
        return "".join(map(_scalar, type_.types))
    if isinstance(type_, msgspec.inspect.DateTimeType):
        return "time"
    return "whole" if isinstance(type_, msgspec.inspect.IntType) else ""


def _is_list(type_: msgspec.inspect.Type) -> bool:
    if isinstance(type_, msgspec.inspect.Metadata):
        return _is_list(type_.type)
    return isinstance(type_, msgspec.inspect.ListType | msgspec.inspect.VarTupleType)


def _shown(name: str) -> str:
    return name[:60]
