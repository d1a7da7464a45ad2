"""Sentences on calls as Microsoft recorded them. Pure."""

from __future__ import annotations

from collectors.calls.probe_agreement import ProbeAgreement
from dashboards import figure_text
from dashboards.report.recorded_calls import RecordedPhone
from probes.wire.counted_text import counted


def phone_sentence(phone: RecordedPhone) -> str:
    """Returns how telephone calls went, or why that is not known."""
    if phone.state != "measured":
        return f"Telephone calls: no figure, {phone.why}."
    of = counted(phone.attempts, "attempt")
    if phone.answered is None or phone.faults is None:
        return (
            f"Telephone calls: {phone.calls:,}. Too few people had one with an outcome "
            "in the log."
        )
    return (
        f"Telephone calls at all hours: of {of} with an outcome in the log, "
        f"{figure_text.percent(phone.answered, 1)} were answered and "
        f"{figure_text.percent(phone.faults, 1)} failed because of a trunk, a provider "
        "or a setting."
    )


def agreement_why(one: ProbeAgreement) -> str:
    """Returns why a group has no agreement."""
    if one.state == "no record":
        return "no figure: Microsoft's record has no hour of them"
    if one.state == "not measured":
        return "no figure: Towpath tested no call of them"
    enough = counted(one.hours, "hour has", "hours have")
    return f"no figure: only {enough} enough on both sides"
