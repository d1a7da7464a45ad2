"""JSON as `--json` prints it."""

from __future__ import annotations

import msgspec


def json_text(value: object, indent: int = -1) -> str:
    """`value` as one JSON text, on one line unless `indent` is given.

    NaN and the infinities, which JSON does not have, become null.
    """
    encoded = msgspec.json.encode(value)
    if indent >= 0:
        encoded = msgspec.json.format(encoded, indent=indent)
    return encoded.decode()
