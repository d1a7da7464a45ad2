"""How the server's part of the catalogue is declared."""

from __future__ import annotations

from probes.wire.catalogue import Field, Measurement, Tag

SITE = Tag("site", "estate id of the site")
_KEEP_DAYS = 400


def measurement(
    name: str,
    meaning: str,
    tags: tuple[Tag, ...],
    *fields: Field,
    period_s: int = 60,
) -> Measurement:
    """A measurement of the server: late after two periods, kept for 400 days."""
    return Measurement(
        name=name,
        meaning=meaning,
        tags=tags,
        fields=fields,
        period_s=period_s,
        lateness_s=2 * period_s,
        retention_days=_KEEP_DAYS,
    )


def counter(name: str, meaning: str, unit: str = "1") -> Field:
    """A whole number that only increases while its process runs."""
    return Field(name, "int", unit, meaning, counter=True)
