"""Parses numbers in text: the one place that decides what is a number. Pure."""

from __future__ import annotations

import math
import re

# Blanks, and the marks of writing direction.
_BLANKS = r"[\s\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]*"
# In Turkish and Basque the % stands in front.
_PARTS = re.compile(
    _BLANKS + r"%?(?P<sign>[-+\u2212]?)"
    r"(?P<digits>[0-9.,]{1,60})(?P<exponent>[eE][-+]?[0-9]{1,4})?"
    r"(?P<rest>.*)",
    re.DOTALL,
)
_PLAIN = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")
_DECIMAL_COMMA = re.compile(r"[0-9]+,[0-9]+")
# By the sign between groups of three digits: 1,234.5 and 1.234,5.
_GROUPED = {
    ",": re.compile(r"[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]+)?"),
    ".": re.compile(r"[1-9][0-9]{0,2}(\.[0-9]{3})+(,[0-9]+)?"),
}
# What may follow a number: nothing, a bracket, or a unit and then anything. 2x2 is a
# layout, not a number of x².
_LETTERS = r"[^\W\d_]+[23²³]?"
_UNIT = re.compile(
    _BLANKS + r"($|[(\[;%°]|(?![xX][0-9a-fA-F])"
    rf"{_LETTERS}(/{_LETTERS})?($|[\s.,;:/)\]]))"
)
# 0x1f, 00ff and 0a 00 01 are octets in hexadecimal, not zero and a unit.
_HEXADECIMAL = re.compile(
    r"\s*(0+([xX]|[0-9]+[a-fA-F]{2})|([0-9a-fA-F]{2}[ :-]){2,}[0-9a-fA-F]{2}\s*$)"
)


def number(text: str, grouping: str = ",") -> float | None:
    """The number that `text` is or begins with, if a unit is all that follows.

    `25.3 C`, `-5.66dBm (ok)`, `1.59E+01` and `1,234.5` are numbers. None for anything
    else: `N/A`, `n/a (0x80)`, `--`, `0x1f`, addresses, dates, times, `1/0/2`, lists,
    and what a float cannot hold (`1e999`, `nan`). `grouping` are the signs that may
    stand between groups of three digits; any other comma or point is a decimal one.
    """
    match = _PARTS.match(text)
    if match is None or _HEXADECIMAL.match(text) or not _UNIT.match(match["rest"]):
        return None
    plain, exponent = match["digits"].rstrip(".,"), match["exponent"] or ""
    digits = _digits(plain, grouping)
    if digits is None:
        return None
    # 1.2.f and 1.2.e4 are no numbers: a second point ends a sentence or nothing.
    points = plain != match["digits"] and "." in plain
    if points and (exponent + match["rest"])[:1].isalpha():
        return None
    sign = match["sign"].replace("\u2212", "-")
    return finite(float(sign + digits + exponent))


def finite(value: float) -> float | None:
    """`value`, or None for what no row may have: NaN, the infinities, and whole numbers
    beyond any float."""
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


def _digits(given: str, grouping: str) -> str | None:
    """`given` as Python writes it; None if it is no number."""
    for sign in grouping:
        if _GROUPED[sign].fullmatch(given):
            return given.replace(sign, "").replace(",", ".")
    if _PLAIN.fullmatch(given):
        return given
    return given.replace(",", ".") if _DECIMAL_COMMA.fullmatch(given) else None
