"""The rows that one page adds to a walk."""

from __future__ import annotations

from collectors.snmp.session.oids import parts, under
from collectors.snmp.session.session import Value, WalkRow


class OutOfOrder(Exception):
    """Rows of a walk repeat or go back."""


def add_rows(
    page: list[WalkRow],
    base: str,
    last: tuple[int, ...],
    rows: dict[str, Value | None],
    ordered: bool,
    strict: bool,
) -> tuple[int, ...]:
    """Adds the good rows of `page`; returns the last OID added, or () if the walk ends.

    If `strict`, a row that repeats or goes back raises `OutOfOrder`.
    """
    for oid, value in page:
        arcs = parts(oid)
        comes_back = arcs <= last if ordered else oid in rows
        if strict and comes_back and under(oid, base):
            raise OutOfOrder
        if comes_back or not under(oid, base):
            return ()
        rows[oid] = value
        last = arcs
    return last
