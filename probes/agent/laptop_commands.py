"""The commands of `towpath-agent` for the laptop's user: what is wrong, what was sent,
a pause, and diagnostics for support."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from probes.agent.exit_codes import FAILED, OK, failure, software, usage_error
from probes.agent.settings import Settings
from probes.wire.clock import wall_ms

if TYPE_CHECKING:
    from probes.agent.laptop_requests import LaptopRequest


def show_status(options: argparse.Namespace, settings: Settings) -> int:
    """Prints what the agent last measured. Returns 1 if something is wrong."""
    import msgspec

    from probes.diagnosis.agent_status import current_verdict, read_status, status_lines

    status, now_ms = read_status(settings.shown_folder()), wall_ms()
    good = status is not None and current_verdict(status, now_ms).good
    if options.json:
        print(msgspec.json.encode(status).decode())
    else:
        print("\n".join(status_lines(status, now_ms)))
    return OK if good else FAILED


def show_page(options: argparse.Namespace, settings: Settings) -> int:
    """Writes the page "Is it me?" and opens it."""
    from probes.diagnosis.is_it_me import page_folder, show, write_page

    # What a service shows may only be read: the page goes where this user's own is.
    own = Settings() if settings.shared_folder else settings
    folder = options.to or page_folder(own.folder(), Path.home())
    try:
        path = write_page(settings.shown_folder(), folder, wall_ms())
    except OSError as error:
        return failure(f"the page cannot be written: {error}")
    if not options.no_open and show(path):
        print(f"The page is open in your browser. It is {path}")
    else:
        print(f"The page is {path}")
    return OK


def show_sent(options: argparse.Namespace, settings: Settings) -> int:
    """Prints the last reports that were sent, one JSON line each."""
    from probes.diagnosis.sent_log import SentLog

    for line in SentLog(settings.shown_folder()).last(max(options.last, 0)):
        print(line)
    return OK


def pause(options: argparse.Namespace, settings: Settings) -> int:
    """Stops measuring for a while, as long as the council allows at most."""
    from probes.agent.laptop_requests import LaptopRequest
    from probes.wire.durations import parse_duration_ms

    length = options.length or options.instead or "1h"
    try:
        seconds = parse_duration_ms(length) / 1000
    except ValueError as error:
        return usage_error(str(error))
    return _request(LaptopRequest("pause", seconds=seconds), settings)


def resume(options: argparse.Namespace, settings: Settings) -> int:
    """Ends the pause."""
    from probes.agent.laptop_requests import LaptopRequest
    from probes.diagnosis.agent_status import read_status

    code = _request(LaptopRequest("resume"), settings)
    status = read_status(settings.shown_folder())
    for stopped in () if status is None else status.stops:
        # A person's end of a pause ends no stop.
        print(f"But {stopped}.")
    return code


def set_place(options: argparse.Namespace, settings: Settings) -> int:
    """Records what the present network is, or forgets it."""
    from probes.agent.laptop_requests import LaptopRequest

    word: Literal["home", "elsewhere", ""] = options.word
    if options.word == "forget":
        word = ""
    return _request(LaptopRequest("place", word=word), settings)


def show_support_code(options: argparse.Namespace, settings: Settings) -> int:
    """Gets a support code from the council's server and prints it."""
    from probes.agent.laptop_requests import LaptopRequest, hand_in

    if settings.shared_folder:
        request = LaptopRequest("support-code")
        answer = hand_in(Path(settings.shared_folder), request)
    else:
        import asyncio

        from probes.agent.enrol import NotEnrolled
        from probes.agent.laptop_support import code_now

        try:
            answer = asyncio.run(code_now(settings, software()))
        except NotEnrolled as error:
            return failure(str(error))
    if not answer.done:
        return failure(answer.text)
    print(answer.text)
    return OK


def _request(request: LaptopRequest, settings: Settings) -> int:
    """Does what is asked, or has the agent's service do it, and prints the answer."""
    from probes.agent.laptop_requests import act_on, hand_in
    from probes.agent.policy_refresh import read_policy

    if settings.shared_folder:
        answer = hand_in(Path(settings.shared_folder), request)
    else:
        longest_s = read_policy(settings.folder()).longest_pause_s
        answer = act_on(request, settings.folder(), longest_s, wall_ms())
    if not answer.done:
        return failure(answer.text)
    print(answer.text)
    return OK


def write_selftest(options: argparse.Namespace, settings: Settings) -> int:
    """Collects diagnostics for support, lists them, and writes them with `--out`."""
    from probes.agent.selftest import (
        README,
        bundle,
        contents,
        own_secrets,
        read_system,
        write_bundle,
    )

    name = software()
    files = bundle(read_system(settings, name), name, own_secrets(settings))
    print(README)
    print("\n".join(contents(files)))
    if options.out is None:
        print("\nTo write it: towpath-agent selftest --out FILE.zip")
        return OK
    try:
        write_bundle(options.out, files)
    except OSError as error:
        return failure(f"the bundle cannot be written: {error}")
    print(f"\nWritten to {options.out}.")
    return OK


def show_what_we_collect(options: argparse.Namespace, settings: Settings) -> int:
    """Prints everything that is collected, and what never is."""
    from probes.diagnosis.what_we_collect import what_we_collect

    print(what_we_collect())
    return OK


def show_settings(options: argparse.Namespace, settings: Settings) -> int:
    """Prints every setting with its value and its source."""
    import msgspec

    from probes.agent.settings_layers import LoadedSettings, setting_rows

    rows = setting_rows(LoadedSettings(settings, options.origins))
    if options.json:
        print(msgspec.json.encode(rows).decode())
        return OK
    width = max(len(row.name) for row in rows)
    longest = max(len(row.value) for row in rows)
    for row in rows:
        print(f"{row.name:{width}}  {row.value:{min(longest, 40)}}  {row.source}")
    return OK
