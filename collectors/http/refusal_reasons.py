"""Why a connection was closed or a request not read: the closed list to count by."""

from __future__ import annotations

from enum import StrEnum


class HttpRefusal(StrEnum):
    """The value is the field `refused_<value>` of the catalogue."""

    NO_PLACE = "no_place"
    """closed for a newcomer, as all places were taken"""
    ADDRESS_FULL = "address_full"
    """closed, as its address had too many connections that nobody had signed in on"""
    AGENT_FULL = "agent_full"
    """closed, as its laptop had too many connections"""
    NO_FILES = "no_files"
    """not accepted, as the system had no file descriptor or memory left"""
    HANDSHAKE = "handshake"
    """TLS was not agreed, or not in time"""
    SLOW_HEAD = "slow_head"
    """the head of a request was not there in time"""
    LARGE_HEAD = "large_head"
    """the head of a request was too large"""
    BAD_HTTP = "bad_http"
    """not HTTP/1.1 as RFC 9112 has it"""
    SLOW_READER = "slow_reader"
    """the answer was not read in time"""
