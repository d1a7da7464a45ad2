"""Times as the laptop's user reads them."""

from __future__ import annotations

import datetime


def local_time_text(at_ms: int) -> str:
    """`14:05 on 3 March`, in the laptop's own time zone."""
    local = datetime.datetime.fromtimestamp(at_ms / 1000).astimezone()
    return f"{local:%H:%M} on {local.day} {local:%B}"
