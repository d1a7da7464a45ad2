"""`DomainFinding`: whether what several alerts have in common has failed."""

from __future__ import annotations

from typing import NamedTuple


class DomainFinding(NamedTuple):
    """Whether the domain of `subject` has failed, since when, and how many count."""

    subject: dict[str, str]
    bad: bool
    since_ms: int
    value: float
    site: str = ""
