"""The closed list of reasons for rejecting something, which are counted."""

from __future__ import annotations

from enum import StrEnum


class RejectionReason(StrEnum):
    """Each value has a field `refused_<value>` in `self_ingest`. The reasons for
    closing a connection are in `collectors.http`."""

    # Bodies and the reports in them: sending them again does not help.
    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    VERSION = "version"
    MALFORMED = "malformed"
    NOT_YOURS = "not_yours"
    CODING = "coding"
    # Senders.
    CREDENTIAL = "credential"
    USED_TWICE = "used_twice"
    ENROLMENT = "enrolment"
    # Try again later.
    BUSY = "busy"
    AGENT_RATE = "agent_rate"
    ENROLMENT_RATE = "enrolment_rate"
    SLOW_BODY = "slow_body"


class BodyRejected(ValueError):
    """No part of the body can be accepted. The text is a sentence for the sender."""

    def __init__(self, reason: RejectionReason, why: str) -> None:
        super().__init__(why)
        self.reason = reason
