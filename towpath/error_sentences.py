"""Turns errors of the system into sentences for people."""

from __future__ import annotations


def sentence_of(error: OSError) -> str:
    """`/x/y: permission denied`, without errno and the exception's name."""
    reason = (error.strerror or str(error) or type(error).__name__).strip()
    reason = reason[:1].lower() + reason[1:]
    return f"{error.filename}: {reason}" if error.filename else reason
