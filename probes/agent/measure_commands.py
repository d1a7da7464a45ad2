"""`towpath-agent once` and `towpath-agent run`."""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING

from probes.agent.exit_codes import FAILED, OK, failure, software, usage_error
from probes.agent.settings import PREFIX, Settings
from probes.wire.probe_list import PROBES

if TYPE_CHECKING:
    from probes.wire.policy import Policy

_REFLECTOR = re.compile(
    r"(\[[0-9A-Fa-f:.]+\]|[^:\s]+|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*)(?::(\d{1,5}))?"
)
_WEB = re.compile(r"https?://[^\s/]+")


def measure(options: argparse.Namespace, settings: Settings) -> int:
    """Measures once, prints the results and sends nothing."""
    import asyncio

    from probes.agent.measure_once import measure_once, render_once
    from probes.wire.policy import Policy

    policy = policy_of_options(options)
    if isinstance(policy, str):
        return usage_error(policy)
    names = options.probe or [
        # A speed test uses megabytes: run it only on request.
        probe.name
        for probe in PROBES
        if not probe.heavy or options.ndt7
    ]
    once = asyncio.run(
        measure_once(settings, names, policy or Policy(), policy is None, software())
    )
    print(render_once(once, options.json))
    return FAILED if once.bad else OK


def policy_of_options(options: argparse.Namespace) -> Policy | str | None:
    """Returns the policy that the options make, a sentence if they are wrong, and None
    if there are none."""
    import msgspec

    from probes.wire.policy import Policy

    targets = (
        options.reflector,
        options.teams_relay,
        options.ndt7,
        options.web,
        options.name,
    )
    if not any(targets):
        return None
    reflectors = []
    if options.reflector or options.ndt7:
        match = _REFLECTOR.fullmatch(options.reflector or "localhost")
        if match is None:
            return f"--reflector is {options.reflector!r}, expected HOST or HOST:PORT"
        host, port = match.groups()
        reflectors.append(
            {
                "id": "reflector",
                "host": host.strip("[]"),
                "stamp_port": int(port or 862),
                "ndt7_url": options.ndt7 or "",
            }
        )
    services = []
    for number, url in enumerate(options.web or [], start=1):
        if not _WEB.match(url):
            return f"--web is {url!r}, expected an address such as https://example.org/"
        services.append({"name": f"web-{number}", "url": url})
    tree = {
        "reflectors": reflectors,
        "teams_relay": {"host": options.teams_relay or ""},
        "services": services,
        "names": options.name or [],
        "budget_bytes_per_day": 0,
        "metered_budget_bytes_per_day": 0,
        "budget_bytes_per_month": 0,
        "metered_budget_bytes_per_month": 0,
    }
    try:
        return msgspec.convert(tree, Policy)
    except msgspec.ValidationError as error:
        return f"that cannot be measured: {error}"


def run_agent(options: argparse.Namespace, settings: Settings) -> int:
    """Runs the agent until it is stopped."""
    import asyncio
    import threading

    from probes.agent.agent_log import log_error, start_log
    from probes.agent.agent_run import run
    from probes.agent.enrol import NotEnrolled
    from probes.agent.enrolment_token import EnrolmentToken
    from probes.agent.spool_file import InUse

    start_log(settings.folder())
    for sentence in options.ignored:
        log_error(sentence)
    if not settings.server:
        return usage_error(
            'there is no server to report to: set server = "https://…" in '
            f"agent.toml, or {PREFIX}SERVER",
            log_error,
        )

    async def run_and_exit() -> None:
        token = EnrolmentToken(settings, options.file, os.environ)
        await run(settings, software(), token, service=options.service)
        # Everything is closed. A name server that does not answer may block a thread,
        # and the interpreter would wait for it: exit after this time at the latest.
        exit_anyway = threading.Timer(1.0, os._exit, (0,))
        exit_anyway.daemon = True
        exit_anyway.start()

    try:
        asyncio.run(run_and_exit())
    except NotEnrolled as error:
        return usage_error(str(error), log_error)
    except InUse as error:
        return failure(str(error), log_error)
    except OSError as error:
        return failure(
            f"the agent cannot write what it needs to keep: {error}", log_error
        )
    return OK
