"""The commands and options of `towpath-agent`, and their help."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from probes.agent.enrol_command import enrol_laptop
from probes.agent.exit_codes import software
from probes.agent.laptop_commands import (
    pause,
    resume,
    set_place,
    show_page,
    show_sent,
    show_settings,
    show_status,
    show_support_code,
    show_what_we_collect,
    write_selftest,
)
from probes.agent.measure_commands import measure, run_agent
from probes.agent.settings import FILES, PREFIX, Settings
from probes.wire.probe_list import PROBES

if TYPE_CHECKING:
    # What `add_subparsers` returns has no public name.
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

Command = Callable[[argparse.Namespace, Settings], int]

_DESCRIPTION = """\
Measures how well this laptop is connected and reports it to your council.

It measures only what your council's policy names, and nothing of what you do. To see
what it collects: towpath-agent what-we-collect."""
_EPILOG = f"""\
settings: {FILES[0]}, then {FILES[1]}.
Each one can be set in the environment too ({PREFIX}SERVER, {PREFIX}MQTT__HOST …), and
by the council's policy. To see them all: towpath-agent settings.
exit codes: 0 success, 1 something is wrong or failed, 2 wrong usage or settings."""


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser. Each command sets `run`, the function that runs it."""
    parser = argparse.ArgumentParser(
        "towpath-agent",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file")
    parser.add_argument("--version", action="version", version=software())
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_measure_commands(commands)
    _add_status_commands(commands)
    _add_enrol_command(commands)
    _add_privacy_commands(commands)
    return parser


def _add(
    commands: _Commands,
    name: str,
    summary: str,
    run: Command,
    description: str = "",
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=summary,
        description=description or summary[:1].upper() + summary[1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    # Allowed after the command too; if it is absent there, the one before it counts.
    command.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="settings file",
    )
    return command


def _add_measure_commands(
    commands: _Commands,
) -> None:
    once = _add(
        commands,
        "once",
        "measure now and show the results; send nothing",
        measure,
        "Measures now and shows the results. Nothing is kept or sent. The targets\n"
        "come from your council's policy, or from the options.",
    )
    names = [probe.name for probe in PROBES]
    once.add_argument(
        "--probe",
        action="append",
        choices=names,
        metavar="PROBE",
        help=f"run only this probe; may be repeated: {', '.join(names)}",
    )
    once.add_argument("--json", action="store_true", help="print JSON")
    once.add_argument(
        "--reflector",
        metavar="HOST[:PORT]",
        help="reflector (STAMP) for the call path and the path",
    )
    once.add_argument(
        "--teams-relay", metavar="HOST", help="Teams relay to send STUN requests to"
    )
    once.add_argument("--ndt7", metavar="URL", help="ndt7 server for the speed test")
    once.add_argument(
        "--web", metavar="URL", action="append", help="web service; may be repeated"
    )
    once.add_argument(
        "--name", metavar="NAME", action="append", help="name to look up in DNS"
    )
    run = _add(commands, "run", "measure and report until stopped", run_agent)
    # For the service of Windows: stop at the end of standard input.
    run.add_argument("--service", action="store_true", help=argparse.SUPPRESS)


def _add_status_commands(
    commands: _Commands,
) -> None:
    status = _add(
        commands,
        "status",
        "is it me? show what is wrong and what to do about it",
        show_status,
        "Shows whether something is wrong with your connection, and what to do about\n"
        "it, by the agent's last results. The exit code is 1 if something is wrong.",
    )
    status.add_argument("--json", action="store_true", help="print JSON")
    page = _add(
        commands,
        "is-it-me",
        "open the same as a page, with what is collected and what was sent",
        show_page,
        "Writes the page “Is it me?”, which only you can read, and opens it in your\n"
        "browser. Nothing is fetched or sent.",
    )
    page.add_argument("--to", type=Path, metavar="FOLDER", help="where to write it")
    page.add_argument(
        "--no-open", action="store_true", help="write the page, do not open it"
    )
    _add(
        commands,
        "support-code",
        "show a code that lets the service desk see this laptop's last day",
        show_support_code,
        "Shows a code that is good for an hour. With it, and only with it, the\n"
        "service desk can see what this laptop measured in the last 24 hours. Then it\n"
        "shows who has looked in the last 30 days.",
    )
    settings = _add(
        commands,
        "settings",
        "show the settings in force, and where each comes from",
        show_settings,
        "Shows every setting, its value and where it comes from: the council's\n"
        "policy, the environment, a file, the installer, or the default. Tokens are\n"
        "not shown.",
    )
    settings.add_argument("--json", action="store_true", help="print JSON")
    selftest = _add(
        commands,
        "selftest",
        "collect diagnostics for support (no personal data)",
        write_selftest,
        "Collects what this system reports to the agent, lists it, and writes it to a\n"
        "ZIP file. Everything personal is removed: names of networks, people and\n"
        "machines, and all addresses. Nothing is sent.",
    )
    selftest.add_argument(
        "--out",
        type=Path,
        metavar="FILE.zip",
        help="file to write; without it the contents are only listed",
    )


def _add_enrol_command(
    commands: _Commands,
) -> None:
    enrol = _add(
        commands,
        "enrol",
        "enrol this laptop with your council, once",
        enrol_laptop,
        "Enrols this laptop with your council, once. It receives a pseudonym and a\n"
        "secret that only your user can read. The token is not kept. Other users of\n"
        "this machine can see what you type after --token: use --token-file to avoid\n"
        "that.",
    )
    enrol.add_argument(
        "--server", metavar="URL", help="address of the council's server"
    )
    enrol.add_argument(
        "--token", metavar="TOKEN", help="the token that your council gave you"
    )
    enrol.add_argument(
        "--token-file",
        metavar="FILE",
        help="file whose first line is the token; - reads standard input",
    )
    enrol.add_argument(
        "--again", action="store_true", help="enrol even if it is enrolled already"
    )
    enrol.add_argument(
        "--new",
        action="store_true",
        help="enrol as another laptop: this disk was copied from one that is enrolled",
    )


def _add_privacy_commands(
    commands: _Commands,
) -> None:
    sent = _add(commands, "sent", "show exactly what was sent", show_sent)
    sent.add_argument(
        "--last", type=int, default=20, metavar="N", help="how many reports (20)"
    )
    pausing = _add(commands, "pause", "stop measuring for a while", pause)
    pausing.add_argument(
        "length", nargs="?", metavar="TIME", help="such as 30m, 2h or 1d (default: 1h)"
    )
    pausing.add_argument(
        "--for", dest="instead", metavar="TIME", help=argparse.SUPPRESS
    )
    _add(commands, "resume", "end the pause", resume)
    place = _add(
        commands,
        "place",
        "say whether this network is your home",
        set_place,
        "Records whether the network that you are in now is your home, so that home\n"
        "and office can be told apart. It is kept on this laptop as a keyed hash.\n"
        "Only `home` or `elsewhere` is ever sent.",
    )
    place.add_argument(
        "word",
        choices=["home", "elsewhere", "forget"],
        help="home, neither home nor office, or forget what you said",
    )
    _add(
        commands,
        "what-we-collect",
        "show everything that is collected, and what never is",
        show_what_we_collect,
    )
