"""Numbers as spreadsheets and Power BI write them, of any country. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Groups of three digits with one mark, and decimals with another.
_GROUPED = re.compile(r"\d{1,3}(?:([ ,.'])\d{3})(?:\1\d{3})*(?:[.,]\d+)?")
_PLAIN = re.compile(r"\d+(?:[.,]\d+)?")
_PERCENT = re.compile(r"\s*%$")


class NumberStyle:
    """How a sheet writes numbers, found from all its `cells`. If none shows it, 720.000
    may be 720 or 720,000, and is not read as a number."""

    def __init__(self, cells: Iterable[str]) -> None:
        self._decimal = ""
        for cell in cells:
            if mark := _decimal_mark(_PERCENT.sub("", cell)):
                self._decimal = mark
                break

    def whole(self, text: str) -> int | None:
        """Returns a whole number, 720 also of 720.0 and 720,00; None if it is none."""
        value = self.decimal(text)
        return int(value) if value is not None and value == int(value) else None

    def decimal(self, text: str) -> float | None:
        """Returns a number; None if it is none."""
        if not (_GROUPED.fullmatch(text) or _PLAIN.fullmatch(text)):
            return None
        decimal = self._decimal or _decimal_mark(text)
        if not decimal and "." in text:
            return None
        for mark in " ,.'":
            if mark != decimal:
                text = text.replace(mark, "")
        return float(text.replace(decimal, ".")) if decimal else float(text)

    def share(self, text: str, in_percent: bool = False) -> float | None:
        """Returns a share from 0 to 1: of 8.5 %, of 8.5 `in_percent`, or of 0.085; None
        if it is none."""
        value = self.decimal(_PERCENT.sub("", text))
        if value is None:
            return None
        value = value / 100 if in_percent or "%" in text else value
        return value if value <= 1 else None

    def are_percent(self, cells: Iterable[str]) -> bool:
        """Whether shares without a sign are percent: one of them is above 1."""
        return any((self.decimal(cell) or 0) > 1 for cell in cells)


def _decimal_mark(text: str) -> str:
    """The mark of decimals that a number must have, if it shows it."""
    if not (_GROUPED.fullmatch(text) or _PLAIN.fullmatch(text)):
        return ""
    marks = [mark for mark in text if mark in ".,"]
    if not marks:
        return ""
    if len(set(marks)) == 2:
        return marks[-1]
    other = "," if marks[0] == "." else "."
    if len(marks) > 1:
        return other
    tail = re.split(r"[.,]", text)[1]
    if len(tail) != 3 or text.startswith("0"):
        return marks[0]
    # 1,234 or 1.234: of counts, thousands; but 720.000 may be either.
    return "" if marks[0] == "." and tail == "000" else other
