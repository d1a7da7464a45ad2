"""Numbers and capital letters as the person at the laptop reads them. Pure."""

from __future__ import annotations


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def milliseconds(value: float) -> str:
    return "under 1 ms" if 0 <= value < 1 else f"{value:.0f} ms"


def percentage(ratio: float) -> str:
    """`0.3%`, `12%`; never 0% for more than nothing."""
    if 0 < ratio < 0.0001:
        return "under 0.01%"
    return f"{number_text(100 * ratio)}%"


def number_text(value: float) -> str:
    """Three digits at most, never an exponent: `0.07`, `4.8`, `48.2`, `5,070`."""
    if isinstance(value, int) or not abs(value) < 100:
        return f"{value:,.0f}"
    if abs(value) >= 1:
        return f"{value:.1f}".removesuffix(".0")
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "under 0.01" if text == "0" and value > 0 else text
