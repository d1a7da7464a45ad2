"""Renders a `Batch` as InfluxDB line protocol, by the catalogue's types. Pure.

https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from collectors.batch import Batch
from collectors.store.store_text import clean_tag, clean_text
from probes.wire.catalogue import Measurement


def lines(batch: Batch, declared: Measurement) -> Iterator[str]:
    """Yields one line for each row that has a field value, with its time in ms."""
    schema = batch.schema
    tag_keys = sorted(
        (name, 1 + at, "," + _escaped(name) + "=")
        for at, name in enumerate(schema.tags)
    )
    first = 1 + len(schema.tags)
    field_keys = [
        (first + at, _escaped(name) + "=", declared.field(name).type)
        for at, name in enumerate(schema.fields)
    ]
    name = schema.measurement.replace(",", "\\,").replace(" ", "\\ ")
    for row in zip(*batch.columns, strict=True):
        fields = []
        for at, key, kind in field_keys:
            value = row[at]
            if value is None:
                continue
            if kind == "int":
                fields.append(f"{key}{value}i")
            elif kind == "float":
                fields.append(f"{key}{float(value)!r}")
            else:
                fields.append(key + _quoted(value))
        if fields:
            tags = "".join(key + _tag(row[at]) for _, at, key in tag_keys if row[at])
            yield f"{name}{tags} {','.join(fields)} {row[0]}"


@lru_cache(maxsize=65_536)
def _tag(text: str) -> str:
    return _escaped(clean_tag(text))


def _escaped(text: str) -> str:
    return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _quoted(text: str) -> str:
    cleaned = clean_text(text)
    return '"' + cleaned.replace("\\", "\\\\").replace('"', '\\"') + '"'
