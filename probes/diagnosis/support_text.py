"""The support code and who has looked, in words for the person at the laptop. Pure."""

from __future__ import annotations

from probes.diagnosis.local_time import local_time_text
from probes.wire.display import isolated
from probes.wire.support_code import SupportCode, shown_code

WHAT_IT_DOES = (
    "With it, and only with it, the service desk can see what this laptop measured in "
    "the last 24 hours. After its first use it works for that one person only. Read it "
    "only to a person whom you have called yourself."
)


def code_sentence(support: SupportCode, now_ms: int) -> str:
    """The code, while it is good; empty without one."""
    if not support.code or now_ms >= support.until_ms:
        return ""
    until = local_time_text(support.until_ms)
    return f"Your support code is {shown_code(support.code)}. It is good until {until}."


def look_sentences(support: SupportCode) -> list[str]:
    """Who has looked, the newest first."""
    return [
        f"{isolated(look.who) or 'The service desk'} looked at what this laptop had "
        f"measured, on {local_time_text(look.at_ms)}."
        for look in support.looks
    ]


def support_lines(support: SupportCode, now_ms: int) -> list[str]:
    """The lines of `towpath-agent support-code` and `status`."""
    code = code_sentence(support, now_ms)
    return [*([code, WHAT_IT_DOES] if code else []), *look_sentences(support)]
