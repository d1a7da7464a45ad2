"""The commands of `towpath-agent` for the laptop's user: what is wrong, what was sent,
a pause, and diagnostics for support."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from probes.agent.exit_codes import FAILED, OK, failure, software, usage_error
from probes.agent.settings import Settings
from probes.wire.clock import wall_ms


def show_status(options: argparse.Namespace, settings: Settings) -> int:
    """Prints what the agent last measured. Returns 1 if something is wrong."""
    import msgspec

    from probes.diagnosis.agent_status import current_verdict, read_status, status_lines

    status, now_ms = read_status(settings.folder()), wall_ms()
    good = status is not None and current_verdict(status, now_ms).good
    if options.json:
        print(msgspec.json.encode(status).decode())
    else:
        print("\n".join(status_lines(status, now_ms)))
    return OK if good else FAILED


def show_page(options: argparse.Namespace, settings: Settings) -> int:
    """Writes the page "Is it me?" and opens it."""
    from probes.diagnosis.is_it_me import page_folder, show, write_page

    state = settings.folder()
    folder = options.to or page_folder(state, Path.home())
    try:
        path = write_page(state, folder, wall_ms())
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

    for line in SentLog(settings.folder()).last(max(options.last, 0)):
        print(line)
    return OK


def pause(options: argparse.Namespace, settings: Settings) -> int:
    """Stops measuring for a while, as long as the council allows at most."""
    from probes.agent.policy_refresh import read_policy
    from probes.agent.quiet_times import write_pause
    from probes.diagnosis.local_time import local_time_text
    from probes.wire.durations import parse_duration_ms

    length = options.length or options.instead or "1h"
    try:
        seconds = parse_duration_ms(length) / 1000
    except ValueError as error:
        return usage_error(str(error))
    longest_s = read_policy(settings.folder()).longest_pause_s
    if not longest_s:
        return failure("your council's policy does not allow a pause")
    until_ms = int((time.time() + min(seconds, longest_s)) * 1000)
    try:
        write_pause(settings.folder(), until_ms)
    except OSError as error:
        return failure(f"the pause cannot be saved: {error}")
    limit = " (the longest your council allows)" if seconds > longest_s else ""
    print(
        f"Nothing is measured until {local_time_text(until_ms)}{limit}. "
        "To end the pause: towpath-agent resume."
    )
    return OK


def resume(options: argparse.Namespace, settings: Settings) -> int:
    """Ends the pause."""
    from probes.agent.quiet_times import write_pause

    try:
        write_pause(settings.folder(), 0)
    except OSError as error:
        return failure(f"the pause cannot be ended: {error}")
    print("The agent measures again.")
    return OK


def set_place(options: argparse.Namespace, settings: Settings) -> int:
    """Records what the present network is, or forgets it."""
    from probes.agent.enrol import device_id
    from probes.agent.place import KnownPlaces, Locator

    folder = settings.folder()
    word = "" if options.word == "forget" else options.word
    try:
        places = KnownPlaces(folder, device_id(folder).encode())
        recorded = Locator(places).set_place(word)
    except OSError as error:
        return failure(f"that cannot be saved: {error}")
    if not recorded:
        return failure("this network has no gateway, so it cannot be recognised again")
    print("Saved." if word else "Forgotten.")
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
