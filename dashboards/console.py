"""What `towpath dashboards …` and `towpath report …` do; each returns its exit code:
0 done, 1 it ran and the answer is bad, 2 wrong usage or files."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from alerts.rules import RuleError, Rules, load
from collectors.estate import Estate
from collectors.measurements import CATALOGUE
from collectors.store.query import Store
from dashboards.grafana import (
    BOARDS,
    BoardError,
    GrafanaConfig,
    PushError,
    build,
    check_boards,
    check_folder,
    files,
    push,
)
from dashboards.report import Made, Month, ReportError, chosen, site_report

Out = Callable[[str], None]


def dashboards_build(
    folder: Path, config: GrafanaConfig, rules: Path | None = None, out: Out = print
) -> int:
    """Boards and provisioning for Grafana below `folder`."""
    try:
        built = build(folder, config, _rules(rules))
    except (BoardError, RuleError) as error:
        return _wrong(error.findings, out, 1)
    except OSError as error:
        return _wrong([f"{error.filename or folder}: {error.strerror}"], out, 2)
    out(f"{len(built.files)} files in {folder}, for Grafana {config.target} and newer")
    if built.left:
        out(f"{len(built.left)} rules cannot be said in Grafana, only by Towpath:")
        for each in built.left:
            out(f"  {each.rule}: {each.why}")
    return 0


def dashboards_check(folder: Path | None = None, out: Out = print) -> int:
    """Towpath's own boards, or every dashboard in `folder`, against the catalogue."""
    if folder is not None and not folder.is_dir():
        return _wrong([f"{folder}: is not a folder"], out, 2)
    if folder is None:
        found = check_boards(BOARDS, CATALOGUE)
        what = f"{len(BOARDS)} boards"
    else:
        found = check_folder(folder, CATALOGUE)
        what = f"the dashboards in {folder}"
    if found:
        return _wrong(found, out, 1)
    out(f"{what}: every name is in the catalogue")
    return 0


def dashboards_push(
    url: str, token: str, config: GrafanaConfig, out: Out = print
) -> int:
    """Puts the boards into a running Grafana."""
    if not token:
        return _wrong(["no token: set GRAFANA_TOKEN to a service account's"], out, 2)
    boards = tuple(b for b in BOARDS if config.personal or not b.personal)
    try:
        for address in push(url, token, config, boards):
            out(address)
    except PushError as error:
        return _wrong([str(error)], out, 1)
    return 0


def rules_export_grafana(
    path: Path, config: GrafanaConfig, rules: Path | None = None, out: Out = print
) -> int:
    """The provisioning file of alert rules alone."""
    try:
        texts, left = files(config, _rules(rules))
    except (BoardError, RuleError) as error:
        return _wrong(error.findings, out, 1)
    try:
        path.write_text(texts["provisioning/alerting/towpath-rules.yaml"], "utf-8")
    except OSError as error:
        return _wrong([f"{path}: {error.strerror}"], out, 2)
    out(f"{path}: paused rules for Grafana {config.target} and newer")
    for each in left:
        out(f"  not there: {each.rule}: {each.why}")
    return 0


def report_site(
    month: str,
    site: str | None,
    folder: Path,
    store: AbstractAsyncContextManager[Store],
    estate: Estate,
    alerts: Path | None = None,
    council: str = "",
    now_ms: int | None = None,
    out: Out = print,
) -> int:
    """The monthly report of all sites or of one, as files in `folder`.

    `store` is not entered yet, as `open_store` gives it.
    """
    try:
        asked = Month.parse(month)
        sites = chosen(estate, site)
    except (ReportError, ValueError) as error:
        return _wrong([str(error)], out, 2)
    at_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms

    async def make() -> Made:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        shown = Console(stderr=True)
        async with store as entered:
            with Progress(
                *columns, console=shown, transient=True, disable=not sys.stderr.isatty()
            ) as bar:
                task = bar.add_task("report", total=len(sites) + 3)
                return await site_report(
                    asked,
                    sites,
                    entered,
                    estate,
                    folder,
                    at_ms,
                    alerts,
                    council,
                    lambda said: bar.update(task, advance=1, description=said),
                )

    try:
        made = asyncio.run(make())
    except ValueError as error:
        return _wrong([str(error)], out, 2)
    except Exception as error:  # noqa: BLE001 - whatever the store says, in one line
        return _wrong([f"no report was made: {error or type(error).__name__}"], out, 1)
    for path in made.files:
        out(str(path))
    if made.note:
        out(made.note)
    return 0


def _rules(folder: Path | None) -> Rules:
    return load(CATALOGUE, folder)


def _wrong(findings: list[str], out: Out, code: int) -> int:
    for each in findings:
        out(each)
    return code
