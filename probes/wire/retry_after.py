"""The HTTP header `Retry-After` (RFC 9110 section 10.2.3)."""

from __future__ import annotations

from probes.wire.http_date import http_date_s


def retry_after_s(header: str | None, now_s: float) -> float | None:
    """Returns the seconds to wait, from a number of seconds or a date. Pure.

    None if there is no header or it cannot be read. A caller limits the time itself.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    date_s = http_date_s(text)
    return None if date_s is None else max(date_s - now_s, 0.0)
