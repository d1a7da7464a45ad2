"""Enrolment tokens: how often, how long and from where one may be used.

A token's text is 24 random bytes that only its maker sees; the file has its SHA-256.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from collectors.ingest.registry_records import Token
from collectors.ip_networks import (
    is_in,
    parse_address,
    parse_network,
    parse_networks,
)

UNKNOWN = (
    "the enrolment token is not known here (was it made on another council's server?)"
)
RING = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")
_DAY_MS = 86_400_000
_COLUMNS = (
    "substr(hash, 1, 12), site, uses, used, created_ms, expires_ms, withdrawn, team,"
    " ring, sources"
)


class TokenWish(msgspec.Struct, frozen=True):
    """What a token is to allow. `sources`: networks it may be used from; empty means
    any. `team` and `ring` are those of the laptops that enrol with it."""

    site: str
    uses: int
    days: float
    team: str = ""
    ring: str = ""
    sources: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises `ValueError` with one sentence."""
        if self.uses < 1 or self.days <= 0:
            raise ValueError("an enrolment token needs at least one use and some days")
        check_ring(self.ring)
        for source in self.sources:
            if parse_network(source) is None:
                raise ValueError(
                    f"{source!r} is no network, expected one such as 192.0.2.0/24"
                )


def check_ring(ring: str) -> None:
    """Raises `ValueError` with one sentence if no ring can be called that."""
    if ring and not RING.fullmatch(ring):
        raise ValueError(
            f"ring {ring!r}: expected up to 30 small letters, digits and hyphens, such "
            "as pilot"
        )


def token_state(token: Token, now_ms: int) -> str:
    """Whether the token can be used, in words. Pure."""
    if token.withdrawn:
        return "withdrawn"
    if token.used >= token.uses:
        return "used up"
    if now_ms >= token.expires_ms:
        return "expired"
    return f"{token.uses - token.used} left"


def refusal_reason(
    token: Token | None, now_ms: int, address: str, ring: str = "", *, again: bool
) -> str:
    """Why a laptop at `address` cannot enrol with the token; empty if it can. Pure.

    `again`: the same laptop has used it before, so it needs no further use. An empty
    `address` is this machine itself. `ring` is the one that the laptop was installed
    for, if any.
    """
    if token is None:
        return UNKNOWN
    if token.withdrawn:
        return "the enrolment token was withdrawn"
    if now_ms >= token.expires_ms:
        # One of the two clocks may be wrong: then the dates show it.
        return (
            f"the enrolment token expired on {_day(token.expires_ms)} (the server's "
            f"date is {_day(now_ms)})"
        )
    if token.sources and address:
        known = parse_address(address)
        if known is None or not is_in(known, parse_networks(token.sources)):
            return "the enrolment token may not be used from this network"
    if ring and not RING.fullmatch(ring):
        return "the ring that this laptop was installed for is no name of a ring"
    if ring and token.ring and ring != token.ring:
        return (
            f"the enrolment token is for the ring {token.ring}, and this laptop was "
            f"installed for {ring}"
        )
    if token.used >= token.uses and not again:
        return f"the enrolment token had {token.uses} uses"
    return ""


def add_token(
    connection: sqlite3.Connection, wish: TokenWish, hash_hex: str, now_ms: int
) -> None:
    connection.execute(
        "INSERT INTO token (hash, site, uses, created_ms, expires_ms, team, ring,"
        " sources) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            hash_hex,
            wish.site,
            wish.uses,
            now_ms,
            now_ms + int(wish.days * _DAY_MS),
            wish.team,
            wish.ring,
            " ".join(wish.sources),
        ),
    )


def new_text() -> str:
    return f"tow-{secrets.token_urlsafe(24)}"


def read_token(connection: sqlite3.Connection, hash_hex: str) -> Token | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM token WHERE hash = ?", (hash_hex,)
    ).fetchone()
    return None if row is None else _token(row)


def read_tokens(connection: sqlite3.Connection) -> dict[str, Token]:
    """Every token by the hash of its text, newest first."""
    rows = connection.execute(
        f"SELECT hash, {_COLUMNS} FROM token ORDER BY created_ms DESC, hash"
    ).fetchall()
    return {hash_hex: _token(row) for hash_hex, *row in rows}


def _day(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")


def _token(row: Sequence[object]) -> Token:
    *fields, sources = row
    return msgspec.convert([*fields, str(sources).split()], Token)
