"""Cleans text so that every store can hold it, and both stores hold the same."""

from __future__ import annotations

import re
from functools import lru_cache

from probes.wire.display import displayable

# Line protocol cannot hold a line end in a tag, InfluxQL cannot name a control
# character, and a backslash at the end of a tag escapes what follows it.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def clean_text(text: str) -> str:
    """Returns `text` without NULs and lone surrogates, for a text field."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", " ")


@lru_cache(maxsize=65_536)
def clean_tag(text: str) -> str:
    """Returns `text` for a tag.

    Control characters become spaces and a backslash at the end becomes a slash. Other
    invisible characters become their numbers, because Grafana shows tags as they are.
    """
    cleaned = displayable(_CONTROL.sub(" ", clean_text(text)))
    return cleaned[:-1] + "/" if cleaned.endswith("\\") else cleaned
