"""Why something was not taken: the closed list that is counted."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The value is the field `refused_<value>` of `self_ingest`; why a connection is
    closed is in `collectors.http.Refusal`."""

    # Bodies and the reports in them: sending them again would not help.
    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    VERSION = "version"
    MALFORMED = "malformed"
    NOT_YOURS = "not_yours"
    CODING = "coding"
    # Senders.
    CREDENTIAL = "credential"
    ENROLMENT = "enrolment"
    # To come back later.
    BUSY = "busy"
    AGENT_RATE = "agent_rate"
    ENROLMENT_RATE = "enrolment_rate"
    SLOW_BODY = "slow_body"


class BodyRefused(ValueError):
    """Nothing of the body can be taken; the text is one sentence for the sender."""

    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason = reason
