"""The support code: eight characters that a laptop shows, and that open its last day to
the service desk for an hour.

POST /v1/support-code   a new code; the one before is worth nothing any more
GET  /v1/support-code   who has looked, and until when the present code is good
"""

from __future__ import annotations

import secrets
import unicodedata
from typing import Annotated

import msgspec

PATH = "/v1/support-code"
# Without what looks alike: 0 and O and Q, 1 and I and L, 2 and Z, 5 and S, 6 and G,
# 8 and B, U and V.
ALPHABET = "3479ACDEFHJKMNPRTWXY"
LENGTH = 8
VALID_MS = 3_600_000
# With the spaces that people type.
LONGEST_TYPED = 20
_EXPECTED = "Enter the eight letters and digits of the code, such as ACDE 3479"
_MOST_SHOWN = 4

Code = Annotated[str, msgspec.Meta(pattern=rf"^([{ALPHABET}]{{{LENGTH}}})?$")]


class SupportLook(msgspec.Struct, frozen=True):
    """`who` looked at this laptop's last day, and when first."""

    who: Annotated[str, msgspec.Meta(max_length=200)]
    at_ms: Annotated[int, msgspec.Meta(ge=0)]


class SupportCode(msgspec.Struct, frozen=True):
    """What the server says: the code, only when it is new, until when it is good, and
    who has looked in the last 30 days, the newest first."""

    code: Code = ""
    until_ms: Annotated[int, msgspec.Meta(ge=0)] = 0
    looks: Annotated[tuple[SupportLook, ...], msgspec.Meta(max_length=100)] = ()


def new_code() -> str:
    """A code that nobody can foresee: one of 25,600,000,000."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def shown_code(code: str) -> str:
    """As people read it aloud: `ACDE 3479`. Pure."""
    return f"{code[: LENGTH // 2]} {code[LENGTH // 2 :]}"


def typed_code(text: str) -> str:
    """The code that a person typed or pasted, with or without spaces, dashes, full
    stops and capitals; empty if the text cannot be one. Pure."""
    code = _letters(text)
    fits = len(code) == LENGTH and all(letter in ALPHABET for letter in code)
    return code if fits else ""


def code_expected(text: str) -> str:
    """Returns the message for a text that cannot be a code. It names the letters and
    digits that no code has, because they are easily misheard or misread. Pure."""
    wrong = [
        letter
        for letter in dict.fromkeys(_letters(text))
        if letter.isascii() and letter not in ALPHABET
    ][:_MOST_SHOWN]
    if not wrong:
        return _EXPECTED
    return f"{_EXPECTED}. No code has {' or '.join(wrong)}: read it again"


def _letters(text: str) -> str:
    # Programs turn a hyphen into a long dash, and copy invisible characters.
    text = unicodedata.normalize("NFKC", text)
    return "".join(letter for letter in text if letter.isalnum()).upper()
