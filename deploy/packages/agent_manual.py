"""The manual page of `towpath-agent`, from the help of its own commands."""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def manual_page(version: str, made_s: int) -> str:
    """The page as troff."""
    sys.path.insert(0, str(ROOT))
    from probes.agent.agent_parser import make_parser

    parser = make_parser()
    date = datetime.datetime.fromtimestamp(made_s, datetime.UTC).date()
    (commands,) = (
        action
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    lines = [
        f'.TH TOWPATH\\-AGENT 1 "{date}" "Towpath {version}" "User Commands"',
        ".SH NAME",
        r"towpath\-agent \- measures how well this laptop is connected",
        ".SH SYNOPSIS",
        r".B towpath\-agent",
        r"[\-\-config FILE] COMMAND",
        ".SH DESCRIPTION",
        _escaped(parser.description or ""),
        ".SH COMMANDS",
    ]
    for choice in commands._choices_actions:
        lines += [".TP", f".B {_escaped(choice.dest)}", _escaped(choice.help or "")]
    lines += [".SH NOTES", _escaped(parser.epilog or "")]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return "\n".join(line for line in text.splitlines() if line.strip())
