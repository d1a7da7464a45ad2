"""Counted nouns in what people read. Pure."""

from __future__ import annotations

import re

# For `counted_part`.
DOES_NOT_ANSWER = ("does not answer", "do not answer")


def counted(count: int, one: str, many: str = "") -> str:
    """Return `1 site` or `2 sites`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def counted_part(count: int, total: int, what: str, does: str, do: str) -> str:
    """Return `1 of 2 sites is down` or `2 of 2 sites are down`: the noun is of the
    whole, the verb of the part. `what` has what makes it plural as `(s)`."""
    noun = re.sub(r"\((\w+)\)", "" if total == 1 else r"\1", what)
    return f"{count:,} of {total:,} {noun} {does if count == 1 else do}"
