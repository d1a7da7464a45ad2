"""`towpath-agent enrol`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from probes.agent.exit_codes import OK, failure, software, usage_error
from probes.agent.settings import Settings

if TYPE_CHECKING:
    from probes.agent.enrolment_token import EnrolmentToken


def enrol_laptop(options: argparse.Namespace, settings: Settings) -> int:
    """Enrols this laptop, unless it is enrolled already."""
    import asyncio

    from probes.agent.copied_disk import drop_the_others
    from probes.agent.enrol import NotEnrolled, enrol, read_credential
    from probes.agent.enrolment_token import EnrolmentToken
    from probes.agent.report_delivery import Later

    server = options.server or settings.server
    stored_token = EnrolmentToken(settings, options.file, os.environ)
    try:
        token = options.token or _read_token_file(options) or stored_token.read()
    except OSError as error:
        return usage_error(f"the token cannot be read: {error}")
    if not server or not token:
        return usage_error(
            "expected --server URL and --token TOKEN or --token-file FILE (or both in "
            "agent.toml)"
        )
    if not (options.again or options.new):
        try:
            known = read_credential(settings.folder())
        except NotEnrolled:
            pass
        else:
            _forget(stored_token)
            print(f"This laptop is enrolled already, as {known.agent}.")
            return OK
    try:
        credential = asyncio.run(
            enrol(
                server,
                token,
                settings.folder(),
                settings.ca_file,
                software(),
                settings.ring,
                as_another=options.new,
            )
        )
        drop_the_others(settings.folder(), credential)
    except (Later, NotEnrolled) as error:
        return failure(str(error))
    except OSError as error:
        return failure(f"this laptop cannot save its credential: {error}")
    _forget(stored_token)
    site = f" of {credential.home_site}" if credential.home_site else ""
    print(f"This laptop{site} is enrolled as {credential.agent}.")
    if options.again or options.new:
        print("If the agent is running, start it again.")
    if not settings.server:
        print(f'Now write server = "{server}" into agent.toml.')
    return OK


def _read_token_file(options: argparse.Namespace) -> str:
    """Returns the token of `--token-file`. Raises `OSError` if it cannot be read."""
    from probes.agent.enrolment_token import MAX_BYTES, read_token

    if options.token_file == "-":
        return sys.stdin.readline(MAX_BYTES).strip()
    return read_token(Path(options.token_file)) if options.token_file else ""


def _forget(token: EnrolmentToken) -> None:
    for warning in token.forget():
        print(f"towpath-agent: {warning}", file=sys.stderr)
