"""Basic types of a profile: OIDs, patterns, classes and units."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
)

SensorClass = Literal[
    "airflow",
    "charge",
    "count",
    "current",
    "dbm",
    "delay",
    "fanspeed",
    "frequency",
    "humidity",
    "load",
    "loss",
    "percent",
    "power",
    "power_consumed",
    "power_factor",
    "pressure",
    "runtime",
    "signal",
    "snr",
    "state",
    "temperature",
    "voltage",
]
Severity = Literal["ok", "warning", "critical", "unknown"]
Every = Literal["1m", "5m", "1h"]
EVERY_S: dict[str, float] = {"1m": 60.0, "5m": 300.0, "1h": 3600.0}
_OID = re.compile(r"\d+(\.\d+)*")
ABSOLUTE = re.compile(r"1\.[03]\.\d+(\.\d+)+")
WORD = re.compile(r"[a-z][a-z0-9_]*")


def _check_oid(value: Any) -> Any:
    if isinstance(value, float):
        raise ValueError(f"an OID in quotes: YAML reads {value} as a number")
    value = str(value).lstrip(".") if isinstance(value, int | str) else value
    if not isinstance(value, str) or not _OID.fullmatch(value):
        raise ValueError("an OID such as 1.3.6.1.2.1.33.1.2.1")
    return value


def _check_pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"a regular expression ({error})") from None
    return value


def to_tuple(value: Any) -> Any:
    return value if isinstance(value, list | tuple) or value is None else (value,)


Oid = Annotated[str, BeforeValidator(_check_oid)]
Pattern = Annotated[str, AfterValidator(_check_pattern)]
Oids = Annotated[tuple[Oid, ...], BeforeValidator(to_tuple)]
Patterns = Annotated[tuple[Pattern, ...], BeforeValidator(to_tuple)]
Texts = Annotated[tuple[str, ...], BeforeValidator(to_tuple)]
Raw = int | str


def to_slice(text: str) -> slice:
    """Parse `0` (the first arc of an index), `1:` (all after it) or `:-1` (all but the
    last)."""
    first, colon, last = text.partition(":")
    if not colon:
        at = int(first)
        return slice(at, at + 1 or None)
    return slice(int(first) if first else None, int(last) if last else None)
