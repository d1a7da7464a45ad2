"""Makes names and texts from outside safe to show: on a page, on paper, in mail, in a
table, on a terminal.

A name can contain invisible characters that change what is seen: they reverse the text
(U+202E), have no width, or control a terminal. They are shown by their number, as in
JSON (`\\u202e`), so that nothing is lost and nothing is hidden. A name that runs from
right to left is isolated from its neighbours (Unicode Bidirectional Algorithm, UAX #9,
section 2.4.2; FSI and PDI), so that figures after it stay after it. Of hundreds of
marks on one letter, all but a few are shown by their number too.
"""

from __future__ import annotations

import io
import re
import sys
import unicodedata
from typing import TextIO

_FSI, _PDI = "\u2068", "\u2069"
# No script has letters with more (Hebrew with vowels and accents has three).
_MOST_MARKS = 8
# What a text that is cut does not end with.
_ENDS = f"{_FSI} "
# Characters without a shape of their own: controls (Cc), formatting (Cf: directions,
# joins, tags), halves of characters (Cs), and letters that are drawn as nothing. Those
# that emoji are made with (U+FE0E, U+FE0F) stay.
_HIDDEN = (
    r"\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff"
    r"\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_ISOLATE = f"{_FSI}[^{_HIDDEN}]*{_PDI}"
_SPACES = re.compile(r"[\t-\r\x1c-\x1f\x85\u2028\u2029]")
# A closed isolate changes nothing outside itself.
_HIDDEN_OR_ISOLATE = re.compile(f"(?P<kept>{_ISOLATE})|[{_HIDDEN}]")
_RIGHT_TO_LEFT = re.compile(
    r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
# A spreadsheet runs what begins so (CWE-1236), some also if it is of double width.
_RUNS = (*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# What a program sends to a terminal on purpose: line ends, tabs and colours.
_COMMANDS = r"\x1b\[[0-9;?]*[A-Za-z]"
_ON_TERMINAL = re.compile(f"(?P<kept>{_COMMANDS}|[\\t\\n\\r]|{_ISOLATE})|[{_HIDDEN}]")
_IN_PIPE = re.compile(f"(?P<kept>[\\t\\n\\r]|{_ISOLATE})|[{_HIDDEN}]")


def displayable(text: str) -> str:
    """Returns `text` on one line, hidden characters by their number. Idempotent."""
    if text.isascii() and text.isprintable():
        return text
    return _with_few_marks(_HIDDEN_OR_ISOLATE.sub(_by_number, _SPACES.sub(" ", text)))


def _with_few_marks(text: str) -> str:
    """A letter with hundreds of marks covers the lines around it, and is as wide as
    they are many."""
    shown, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character)[0] == "M" else 0
        shown.append(character if marks <= _MOST_MARKS else _numbered(character))
    return "".join(shown)


def isolated(text: str) -> str:
    """Returns `displayable(text)`, isolated if it runs from right to left.
    Idempotent."""
    shown = displayable(text)
    if shown.isascii() or not _RIGHT_TO_LEFT.search(re.sub(_ISOLATE, "", shown)):
        return shown
    return _FSI + shown.replace(_FSI, "").replace(_PDI, "") + _PDI


def shortened(text: str, most: int) -> str:
    """Returns `text` in at most `most` (2 or more) letters. Where it is cut inside an
    isolate, that is closed: an open one would turn round what follows."""
    if len(text) <= most:
        return text
    kept = text[: most - 2]
    is_open = kept.count(_FSI) > kept.count(_PDI)
    return f"{kept}{_PDI}…" if is_open else f"{text[: most - 1].rstrip(_ENDS)}…"


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would run `text` from a CSV file instead of showing it."""
    return text.lstrip(" ").startswith(_RUNS)


class TerminalStream(io.TextIOWrapper):
    """Standard output or error that shows hidden characters by their number. Colours
    are passed to a terminal only."""

    def write(self, text: str) -> int:
        if not (text.isascii() and text.isprintable()):
            pattern = _ON_TERMINAL if self.isatty() else _IN_PIPE
            super().write(pattern.sub(_by_number, text))
        else:
            super().write(text)
        return len(text)


def guard_terminal() -> None:
    """Makes everything displayable that this process writes to its standard streams."""
    sys.stdout, sys.stderr = _guarded(sys.stdout), _guarded(sys.stderr)


def _guarded(stream: TextIO) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper) or isinstance(stream, TerminalStream):
        return stream
    stream.flush()
    encoding, errors = _encoding(stream, sys.platform)
    return TerminalStream(
        stream.buffer,
        encoding=encoding,
        errors=errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _encoding(stream: TextIO, platform: str) -> tuple[str, str]:
    """How `stream` is written. A pipe or file of Windows is UTF-8: its code pages lack
    letters such as the Welsh w with a circumflex. What cannot be written anywhere else
    is shown by its number instead of ending the program."""
    encoding = "utf-8" if platform == "win32" else stream.encoding
    errors = stream.errors or "strict"
    return encoding, "backslashreplace" if errors == "strict" else errors


def _by_number(match: re.Match[str]) -> str:
    return match["kept"] or _numbered(match[0])


def _numbered(text: str) -> str:
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(
        f"\\u{int.from_bytes(units[at : at + 2], 'big'):04x}"
        for at in range(0, len(units), 2)
    )
