"""Makes a report in a process of its own, so that neither its minute of processor time
nor its memory is that of the process which polls and pages."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import sys
from pathlib import Path

import msgspec

from collectors.estate import EstateError, load
from collectors.module_process import EndedEarly, ask_module
from collectors.store import Away, QueryFailed
from dashboards.report import ReportError, ReportFiles, select_sites, site_report
from dashboards.report.month import ReportPeriod
from dashboards.report_config import ReportSchedule
from probes.wire.clock import wall_ms
from towpath.config import TowpathConfig
from towpath.report_settings import report_settings, report_store

_LONGEST_S = 3_600.0
_NICE = 10


class ReportNotMade(RuntimeError):
    """The report could not be made; the text is the reason."""


class _MadeAnswer(msgspec.Struct):
    files: list[str] = []
    note: str = ""
    title: str = ""
    summary: str = ""
    error: str = ""


async def make_scheduled(
    config: TowpathConfig, schedule: ReportSchedule, period: ReportPeriod, out: Path
) -> ReportFiles:
    """Makes the report here. Raises `ReportNotMade`."""
    try:
        estate = load(config.estate)
        sites = select_sites(estate, schedule.site or None)
        async with report_store(config) as store:
            return await site_report(
                period,
                sites,
                store,
                estate,
                out,
                wall_ms(),
                report_settings(config, schedule.formats, schedule.plain),
            )
    except (EstateError, Away, QueryFailed, OSError, ReportError, ValueError) as error:
        raise ReportNotMade(f"the report could not be made: {error}") from error


async def make_in_process(
    config: TowpathConfig, schedule: ReportSchedule, period: ReportPeriod, out: Path
) -> ReportFiles:
    """Makes the report in another process. Raises `ReportNotMade`."""
    work = pickle.dumps((config, schedule, period, out))
    try:
        answer = await ask_module(
            "towpath.report_process", work, _MadeAnswer, _LONGEST_S
        )
    except TimeoutError:
        raise ReportNotMade("the report took more than an hour to make") from None
    except EndedEarly as error:
        raise ReportNotMade(f"the process that makes the report {error}") from None
    if answer.error:
        raise ReportNotMade(answer.error)
    files = tuple(map(Path, answer.files))
    return ReportFiles(files, answer.note, answer.title, answer.summary)


def main() -> None:
    """Reads the work from standard input, which is this program's own, and writes the
    answer to standard output."""
    work = pickle.load(sys.stdin.buffer)
    if hasattr(os, "nice"):
        os.nice(_NICE)
    gc.disable()
    try:
        made = asyncio.run(make_scheduled(*work))
        answer = _MadeAnswer(
            [str(path) for path in made.files], made.note, made.title, made.summary
        )
    except ReportNotMade as error:
        answer = _MadeAnswer(error=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(answer))


if __name__ == "__main__":
    main()
