"""Makes the manual page of `towpath` from its commands. Pure.

`make docs` writes it, the wheel installs it under share/man, and a test fails if it is
out of date.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "deploy" / "man" / "towpath.1"
# What follows an option, by the type of its value.
_VALUES = {"str": "TEXT", "int": "N", "float": "NUMBER", "Path": "PATH"}
_EXIT_CODES = (
    ("0", "The command did what it was asked to."),
    (
        "1",
        "It could not, or what it looked for is not so: a device did not answer, a "
        "check failed, nothing was found. A sentence on standard error says which.",
    ),
    ("2", "Wrong usage, or wrong settings."),
    ("130", "It was interrupted."),
)


def man_page(root: Any) -> str:
    """The page in man(7) macros. `root` is the click command of `towpath`."""
    commands = list(_commands(root, "towpath"))
    lines = [
        '.\\" Made by `make docs` from the commands themselves; do not edit.',
        '.TH TOWPATH 1 "" "Towpath" "User Commands"',
        ".SH NAME",
        f"towpath \\- {_escape(_lower_first(root.help or '').rstrip('.'))}",
        ".SH SYNOPSIS",
        ".B towpath",
        "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]",
        ".SH DESCRIPTION",
        *_paragraphs(root.help or ""),
        ".PP",
        "Settings are in a TOML file, which most commands read",
        "(\\fB\\-\\-config\\fR or \\fBTOWPATH_CONFIG\\fR).",
        ".SH OPTIONS",
        *_parameters(root),
        ".SH COMMANDS",
    ]
    for name, command in commands:
        lines += [f".SS {_escape(_usage(name, command))}"]
        lines += _paragraphs(command.help or "")
        lines += _parameters(command)
    lines += [".SH EXIT STATUS"]
    for code, meaning in _EXIT_CODES:
        lines += [".TP", f".B {code}", *_text(meaning)]
    lines += [".SH ENVIRONMENT"]
    for variable, options in sorted(_variables([("", root), *commands]).items()):
        lines += [".TP", f".B {_escape(variable)}", *_text(f"Instead of {options}.")]
    lines += [
        ".SH SEE ALSO",
        "The documents that come with Towpath: engineer.md, operator.md, settings.md.",
    ]
    return "\n".join(lines) + "\n"


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """All commands that do something, with their full names, in alphabetical order."""
    for subname, subcommand in sorted(getattr(command, "commands", {}).items()):
        if subcommand.hidden:
            continue
        full = f"{name} {subname}"
        if hasattr(subcommand, "commands"):
            yield from _commands(subcommand, full)
        else:
            yield full, subcommand


def _usage(name: str, command: Any) -> str:
    arguments = [
        _metavar(parameter) if parameter.required else f"[{_metavar(parameter)}]"
        for parameter in command.params
        if parameter.param_type_name == "argument"
    ]
    options = ["[OPTIONS]"] if len(arguments) < len(command.params) else []
    return " ".join([name, *options, *arguments])


def _parameters(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if getattr(parameter, "hidden", False):
            continue
        is_argument = parameter.param_type_name == "argument"
        text = (getattr(parameter, "help", None) or "").strip()
        if is_argument:
            if not text:
                continue
            yield from (".TP", f".I {_escape(_metavar(parameter))}")
        else:
            names = ", ".join(
                f"\\fB{_escape(option)}\\fR"
                for option in (*parameter.opts, *parameter.secondary_opts)
            )
            value = (
                "" if parameter.is_flag else f" \\fI{_escape(_metavar(parameter))}\\fR"
            )
            yield from (".TP", names + value)
        notes = [text] if text else []
        if not is_argument and _is_worth_showing(parameter):
            notes.append(f"Default: {parameter.default}")
        if getattr(parameter, "multiple", False):
            notes.append("May be given several times")
        sentences = (_sentence(note).rstrip(".") for note in notes)
        yield from _text(". ".join(sentences) + "." if notes else "")


def _is_worth_showing(parameter: Any) -> bool:
    default = parameter.default
    return (
        not parameter.is_flag
        and isinstance(default, str | int | float)
        and default != ""
        and "default" not in (parameter.help or "")
    )


def _metavar(parameter: Any) -> str:
    if parameter.metavar:
        return str(parameter.metavar)
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    value_type = parameter.bare_type().removeprefix("list[").rstrip("]")
    return _VALUES.get(value_type, "VALUE")


def _variables(commands: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """The options that each environment variable stands for."""
    options: dict[str, dict[str, None]] = {}
    for _, command in commands:
        for parameter in command.params:
            variables = parameter.envvar or ()
            for variable in [variables] if isinstance(variables, str) else variables:
                options.setdefault(variable, {})[max(parameter.opts, key=len)] = None
    return {variable: " or ".join(names) for variable, names in options.items()}


def _paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of a help text; `\\f` ends what is shown."""
    parts = [part for part in text.split("\f")[0].split("\n\n") if part.strip()]
    for n, part in enumerate(parts):
        if n:
            yield ".PP"
        yield from _text(" ".join(part.split()))


def _sentence(note: str) -> str:
    """With a capital, unless it starts with the name of a file or the like."""
    first = note.split()[0].rstrip(",;:")
    return f"{note[:1].upper()}{note[1:]}" if first.isalpha() else note


def _text(text: str) -> Iterator[str]:
    """A paragraph in lines of which none starts as a request."""
    lines = textwrap.wrap(text, 78, break_long_words=False, break_on_hyphens=False)
    yield from map(_escape, lines)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _escape(text: str) -> str:
    """Text for roff: backslashes, hyphens, and no request at the start of a line."""
    text = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", text)
    return f"\\&{text}" if text.startswith((".", "'")) else text
