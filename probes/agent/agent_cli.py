"""The agent's door: `towpath-agent`.

Exit codes: 0 done, 1 it ran and the answer is bad, 2 wrong usage or configuration.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from probes.agent.settings import (
    PREFIX,
    BadSettings,
    Settings,
    load_settings,
    settings_file,
)
from probes.wire.clock import wall_ms
from probes.wire.display import guard_terminal
from probes.wire.measurements import MEASUREMENTS

if TYPE_CHECKING:
    from probes.agent.enrolment_token import EnrolmentToken
    from probes.wire.policy import Policy

_PROBES = [each.name for each in MEASUREMENTS]
_DOOR = """\
Measures how well this laptop is connected, and reports it to your council.

It measures only what your council's policy names, nothing you do. To see what it
collects: towpath-agent what-we-collect."""
_FILES = f"""\
settings: ~/.config/towpath-agent/agent.toml, then /etc/towpath-agent.toml; each can be
set in the environment too ({PREFIX}SERVER, {PREFIX}MQTT__HOST …).
exit codes: 0 done, 1 it ran and the answer is bad, 2 wrong usage or configuration."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit code."""
    if arguments is None:
        guard_terminal()
    chosen = _parser().parse_args(arguments)
    # What the agent keeps is for its own user alone, whatever the umask.
    os.umask(0o077)
    try:
        settings = load_settings(chosen.config, os.environ)
        chosen.file = settings_file(chosen.config)
        return int(chosen.run(chosen, settings))
    except BadSettings as error:
        return _wrong(str(error))
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "towpath-agent",
        description=_DOOR,
        epilog=_FILES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file")
    parser.add_argument("--version", action="version", version=_software())
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(
        name: str, does: str, run: object, text: str = ""
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=does,
            description=text or does[:1].upper() + does[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        # Also after the command; absent, the one before it counts.
        command.add_argument(
            "--config",
            type=Path,
            metavar="FILE",
            default=argparse.SUPPRESS,
            help="settings file",
        )
        return command

    once = add(
        "once",
        "measure now, show it, send nothing",
        _once,
        "Measures now and shows the results; nothing is kept or sent. What to measure\n"
        "against comes from your council's policy, or from the options.",
    )
    once.add_argument(
        "--probe",
        action="append",
        choices=_PROBES,
        metavar="PROBE",
        help=f"only this one, may be repeated: {', '.join(_PROBES)}",
    )
    once.add_argument("--json", action="store_true", help="for a program")
    once.add_argument(
        "--reflector", metavar="HOST[:PORT]", help="far end of the call path (STAMP)"
    )
    once.add_argument("--teams-relay", metavar="HOST", help="relay to ask by STUN")
    once.add_argument("--ndt7", metavar="URL", help="far end of the speed test")
    once.add_argument("--web", metavar="URL", action="append", help="service to time")
    once.add_argument("--name", metavar="NAME", action="append", help="name to look up")
    add("run", "measure and report until stopped", _run)
    status = add("status", "is it me? what was last seen, in plain words", _status)
    status.add_argument("--json", action="store_true", help="for a program")
    page = add(
        "is-it-me",
        "the same as a page in your browser, with what is collected and was sent",
        _is_it_me,
        "Writes the page “Is it me?” for you alone and opens it in your browser. It\n"
        "fetches nothing and sends nothing.",
    )
    page.add_argument("--to", type=Path, metavar="FOLDER", help="where to write it")
    page.add_argument("--no-open", action="store_true", help="only write it")
    enrol = add(
        "enrol",
        "make this laptop known to your council, once",
        _enrol,
        "Makes this laptop known to your council, once. It gets a pseudonym and a\n"
        "secret, kept readable by your user alone. The token is not kept. Others on\n"
        "this machine can see what is typed after --token: --token-file hides it.",
    )
    enrol.add_argument("--server", metavar="URL", help="the council's address")
    enrol.add_argument("--token", metavar="TOKEN", help="as your council gave it")
    enrol.add_argument(
        "--token-file",
        metavar="FILE",
        help="file whose first line is the token; - reads it from standard input",
    )
    enrol.add_argument(
        "--again", action="store_true", help="also where it is enrolled already"
    )
    sent = add("sent", "show what was sent, word for word", _sent)
    sent.add_argument("--last", type=int, default=20, metavar="N", help="how many (20)")
    pause = add("pause", "measure nothing for a while", _pause)
    pause.add_argument(
        "length", nargs="?", metavar="TIME", help="30m, 2h, 1d (without: 1h)"
    )
    pause.add_argument("--for", dest="instead", metavar="TIME", help=argparse.SUPPRESS)
    add("resume", "end the pause", _resume)
    place = add(
        "place",
        "say what the network you are in is",
        _place,
        "Says what the network you are in now is, so that home and office are told\n"
        "apart. It is kept on this laptop as a keyed hash; only the word is ever sent.",
    )
    place.add_argument("word", choices=["home", "elsewhere", "forget"])
    selftest = add(
        "selftest",
        "collect diagnostics for support (no personal data)",
        _selftest,
        "Looks at everything this system tells the agent, says what is inside, and\n"
        "writes it as a ZIP file with everything personal taken out: no names of\n"
        "networks, people or machines, no addresses. Nothing is sent.",
    )
    selftest.add_argument(
        "--out", type=Path, metavar="FILE.zip", help="without it, only what is inside"
    )
    add("what-we-collect", "everything it collects, and what it never does", _collect)
    return parser


def _once(chosen: argparse.Namespace, settings: Settings) -> int:
    import asyncio

    from probes.agent.once import measure_once, shown
    from probes.wire.policy import Policy

    given = _given_policy(chosen)
    if isinstance(given, str):
        return _wrong(given)
    probes = chosen.probe or [
        # A speed test costs megabytes: only where it is asked for.
        each
        for each in _PROBES
        if each != "bandwidth" or chosen.ndt7
    ]
    found = asyncio.run(
        measure_once(settings, probes, given or Policy(), given is None, _software())
    )
    print(shown(found, chosen.json))
    return 1 if found.bad else 0


def _given_policy(chosen: argparse.Namespace) -> Policy | str | None:
    """What the options say to measure; None where they say nothing."""
    import msgspec

    from probes.wire.policy import Policy

    given = (chosen.reflector, chosen.teams_relay, chosen.ndt7, chosen.web, chosen.name)
    if not any(given):
        return None
    reflectors = []
    if chosen.reflector or chosen.ndt7:
        match = re.fullmatch(
            r"(\[[0-9A-Fa-f:.]+\]|[^:\s]+|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*)(?::(\d{1,5}))?",
            chosen.reflector or "localhost",
        )
        if match is None:
            return f"--reflector is {chosen.reflector!r}, expected HOST or HOST:PORT"
        host, port = match.groups()
        reflectors.append(
            {
                "id": "reflector",
                "host": host.strip("[]"),
                "stamp_port": int(port or 862),
                "ndt7_url": chosen.ndt7 or "",
            }
        )
    services = []
    for index, url in enumerate(chosen.web or [], start=1):
        if not re.match(r"https?://[^\s/]+", url):
            return f"--web is {url!r}, expected an address such as https://example.org/"
        services.append({"name": f"web-{index}", "url": url})
    tree = {
        "reflectors": reflectors,
        "teams_relay": {"host": chosen.teams_relay or ""},
        "services": services,
        "names": chosen.name or [],
        "budget_bytes_per_month": 0,
        "metered_budget_bytes_per_month": 0,
    }
    try:
        return msgspec.convert(tree, Policy)
    except msgspec.ValidationError as error:
        return f"that cannot be measured: {error}"


def _run(chosen: argparse.Namespace, settings: Settings) -> int:
    import asyncio
    import logging
    import threading

    from probes.agent.agent_run import run
    from probes.agent.enrol import NotEnrolled
    from probes.agent.enrolment_token import EnrolmentToken
    from probes.agent.spool_file import InUse

    if not settings.server:
        return _wrong(
            'there is no server to report to: set server = "https://…" in '
            f"agent.toml, or {PREFIX}SERVER"
        )
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr
    )
    for noisy in ("httpx2", "httpcore2", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

    async def run_and_leave() -> None:
        token = EnrolmentToken(settings, chosen.file, os.environ)
        await run(settings, _software(), token)
        # Everything is closed. A name server that does not answer may hold a thread,
        # which the interpreter would wait for: not longer than this.
        leave = threading.Timer(1.0, os._exit, (0,))
        leave.daemon = True
        leave.start()

    try:
        asyncio.run(run_and_leave())
    except NotEnrolled as error:
        return _wrong(str(error))
    except InUse as error:
        return _bad(str(error))
    except OSError as error:
        return _bad(f"the agent cannot keep what it needs: {error}")
    return 0


def _status(chosen: argparse.Namespace, settings: Settings) -> int:
    import msgspec

    from probes.diagnosis.agent_status import current_verdict, read_status, status_lines

    status, now_ms = read_status(settings.folder()), wall_ms()
    good = status is not None and current_verdict(status, now_ms).good
    if chosen.json:
        print(msgspec.json.encode(status).decode())
    else:
        print("\n".join(status_lines(status, now_ms)))
    return 0 if good else 1


def _is_it_me(chosen: argparse.Namespace, settings: Settings) -> int:
    from probes.diagnosis.is_it_me import page_folder, show, write_page

    state = settings.folder()
    folder = chosen.to or page_folder(state, Path.home())
    try:
        path = write_page(state, folder, wall_ms())
    except OSError as error:
        return _bad(f"the page cannot be written: {error}")
    opened = not chosen.no_open and show(path)
    print(f"The page is {'open in your browser, and ' if opened else ''}{path}")
    return 0


def _enrol(chosen: argparse.Namespace, settings: Settings) -> int:
    import asyncio

    from probes.agent.enrol import NotEnrolled, enrol, read_credential
    from probes.agent.enrolment_token import EnrolmentToken
    from probes.agent.report_delivery import Later

    server = chosen.server or settings.server
    known_token = EnrolmentToken(settings, chosen.file, os.environ)
    try:
        token = chosen.token or _given_token(chosen) or known_token.read()
    except OSError as error:
        return _wrong(f"the token cannot be read: {error}")
    if not server or not token:
        return _wrong(
            "expected --server URL and --token TOKEN or --token-file FILE (or both in "
            "agent.toml)"
        )
    if not chosen.again:
        try:
            known = read_credential(settings.folder())
        except NotEnrolled:
            pass
        else:
            _forget(known_token)
            print(f"This laptop is enrolled already, as {known.agent}.")
            return 0
    try:
        made = asyncio.run(
            enrol(server, token, settings.folder(), settings.ca_file, _software())
        )
    except (Later, NotEnrolled, OSError) as error:
        return _bad(str(error))
    _forget(known_token)
    site = f" of {made.home_site}" if made.home_site else ""
    print(f"This laptop{site} is enrolled as {made.agent}.")
    if not settings.server:
        print(f'Now write server = "{server}" into agent.toml.')
    return 0


def _given_token(chosen: argparse.Namespace) -> str:
    """The token of `--token-file`. `OSError` if it cannot be read."""
    from probes.agent.enrolment_token import MAX_BYTES, read_token

    if chosen.token_file == "-":
        return sys.stdin.readline(MAX_BYTES).strip()
    return read_token(Path(chosen.token_file)) if chosen.token_file else ""


def _forget(token: EnrolmentToken) -> None:
    for left in token.forget():
        print(f"towpath-agent: {left}", file=sys.stderr)


def _sent(chosen: argparse.Namespace, settings: Settings) -> int:
    from probes.diagnosis.sent_log import SentLog

    for line in SentLog(settings.folder()).last(max(chosen.last, 0)):
        print(line)
    return 0


def _pause(chosen: argparse.Namespace, settings: Settings) -> int:
    from probes.agent.agent import read_policy
    from probes.agent.pause import pause
    from probes.diagnosis.local_time import local_time_text
    from probes.wire.durations import parse_duration_ms

    length = chosen.length or chosen.instead or "1h"
    try:
        seconds = parse_duration_ms(length) / 1000
    except ValueError as error:
        return _wrong(str(error))
    longest_s = read_policy(settings.folder()).longest_pause_s
    if not longest_s:
        return _bad("your council's policy does not allow a pause")
    until_ms = int((time.time() + min(seconds, longest_s)) * 1000)
    try:
        pause(settings.folder(), until_ms)
    except OSError as error:
        return _bad(f"the pause cannot be noted: {error}")
    most = " (the longest your council allows)" if seconds > longest_s else ""
    print(
        f"Nothing is measured until {local_time_text(until_ms)}{most}; "
        "towpath-agent resume ends that."
    )
    return 0


def _resume(chosen: argparse.Namespace, settings: Settings) -> int:
    from probes.agent.pause import pause

    try:
        pause(settings.folder(), 0)
    except OSError as error:
        return _bad(f"the pause cannot be ended: {error}")
    print("The agent measures again.")
    return 0


def _place(chosen: argparse.Namespace, settings: Settings) -> int:
    from probes.agent.enrol import device_id
    from probes.agent.place import KnownPlaces, Locator

    folder = settings.folder()
    word = "" if chosen.word == "forget" else chosen.word
    try:
        known = Locator(KnownPlaces(folder, device_id(folder).encode())).say(word)
    except OSError as error:
        return _bad(f"that cannot be noted: {error}")
    if not known:
        return _bad("this network has no gateway by which it could be known again")
    print("Noted." if word else "Forgotten.")
    return 0


def _selftest(chosen: argparse.Namespace, settings: Settings) -> int:
    from probes.agent.selftest import (
        README,
        bundle,
        contents,
        own_secrets,
        read_system,
        write_bundle,
    )

    software = _software()
    files = bundle(read_system(settings, software), software, own_secrets(settings))
    print(README)
    print("\n".join(contents(files)))
    if chosen.out is None:
        print("\nTo write it: towpath-agent selftest --out FILE.zip")
        return 0
    try:
        write_bundle(chosen.out, files)
    except OSError as error:
        return _bad(f"the bundle cannot be written: {error}")
    print(f"\nWritten to {chosen.out}.")
    return 0


def _collect(chosen: argparse.Namespace, settings: Settings) -> int:
    from probes.diagnosis.what_we_collect import what_we_collect

    print(what_we_collect())
    return 0


def _software() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"towpath-agent/{version('towpath')}"
    except PackageNotFoundError:
        return "towpath-agent/unknown"


def _wrong(why: str) -> int:
    print(f"towpath-agent: {why}", file=sys.stderr)
    return 2


def _bad(why: str) -> int:
    print(f"towpath-agent: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
