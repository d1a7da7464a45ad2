"""The order in which people look for names: `Room 2` before `Room 10`, small letters
beside capitals, and letters with accents beside those without.

A list that is read by its names is sorted by this, on pages, in reports, in the API and
on a terminal. Code that needs any stable order sorts texts as they are.
"""

from __future__ import annotations

import functools
import re
import unicodedata

_DIGITS = re.compile(r"[0-9]+")
# Letters that Unicode does not take apart, as English indexes file them.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "þ": "th"})


# A page may sort the ports of a whole council.
@functools.lru_cache(65_536)
def natural_order(text: str) -> str:
    """Returns the key that `text` is sorted by. Different texts have different keys, so
    that an order is always the same. Pure."""
    plain = text.lower() if text.isascii() else _folded(text)
    # Each number after how many digits it has, so that the longer one is the larger.
    plain = _DIGITS.sub(_sized, " ".join(plain.split()))
    return f"{plain}\0{text}"


def _folded(text: str) -> str:
    """Without accents, and without what is not seen, such as a mark of direction."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    kept = (c for c in letters if unicodedata.category(c)[0] not in "MC" or c.isspace())
    return "".join(kept).casefold().translate(_PLAIN)


def _sized(digits: re.Match[str]) -> str:
    number = digits[0].lstrip("0") or "0"
    return chr(ord("0") + len(number)) + number
