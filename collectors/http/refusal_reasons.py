"""The reasons for closing a connection or refusing a request, as they are counted."""

from __future__ import annotations

from enum import StrEnum


class HttpRefusal(StrEnum):
    """The value is the field `refused_<value>` of the catalogue."""

    NO_PLACE = "no_place"
    """closed for a newer connection because all slots were taken"""
    ADDRESS_FULL = "address_full"
    """closed because its address had too many connections without a sign-in"""
    AGENT_FULL = "agent_full"
    """closed because its laptop had too many connections"""
    NO_FILES = "no_files"
    """not accepted because the system had no file descriptor or memory left"""
    HANDSHAKE = "handshake"
    """the TLS handshake failed or took too long"""
    SLOW_HEAD = "slow_head"
    """the head of a request did not arrive in time"""
    LARGE_HEAD = "large_head"
    """the head of a request was too large"""
    BAD_HTTP = "bad_http"
    """not valid HTTP/1.1 (RFC 9112)"""
    SLOW_READER = "slow_reader"
    """the answer was not read in time"""
