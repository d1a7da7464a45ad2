"""What the system refused, as a sentence for a person."""

from __future__ import annotations


def sentence_of(error: OSError) -> str:
    """Without errno and the exception's name: `/x/y: permission denied`."""
    reason = (error.strerror or str(error) or type(error).__name__).strip()
    reason = reason[:1].lower() + reason[1:]
    return f"{error.filename}: {reason}" if error.filename else reason
