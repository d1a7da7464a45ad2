"""Text as every store can hold it. Both stores clean with these, so they agree."""

from __future__ import annotations

import re
from functools import lru_cache

from probes.wire.display import displayable

# No store of line protocol can hold a line end in a tag, InfluxQL cannot name a
# control character, and a tag that ends in a backslash swallows what follows it.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def clean_text(text: str) -> str:
    """`text` without NULs and lone surrogates: what a text field may hold."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", " ")


@lru_cache(maxsize=65_536)
def clean_tag(text: str) -> str:
    """`text` as a tag may hold it: control characters are spaces, other characters
    that are not seen are numbers (Grafana shows tags as they are), and a backslash at
    the end is a slash."""
    cleaned = displayable(_CONTROL.sub(" ", clean_text(text)))
    return cleaned[:-1] + "/" if cleaned.endswith("\\") else cleaned
