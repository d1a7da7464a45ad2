"""`towpath import cqd`: counts of Microsoft's Call Quality Dashboard."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probes.wire.atomic_file import replace_file
from probes.wire.clock import wall_ms
from probes.wire.counted_text import counted
from towpath.commands.import_rows import (
    SHOWN,
    DatesOption,
    date_order,
    import_rows,
    report_left_out,
)
from towpath.commands.shared import (
    ConfigFile,
    ensure_folder,
    fail,
    read_config,
    read_estate,
    reading_file,
    usage_error,
)
from towpath.error_sentences import sentence_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from collectors.calls.calls_config import CallsConfig
    from collectors.calls.cqd_rows import CqdRows
    from collectors.calls.cqd_sheet import CqdCount, Step
    from collectors.estate import Estate


def add_commands(app: typer.Typer) -> None:
    """Adds this command to `towpath import`."""
    app.command()(cqd)


def cqd(
    config: ConfigFile,
    file: Annotated[
        Path, typer.Argument(help="streams by building and day or month, as CSV")
    ],
    dates: DatesOption = "",
) -> None:
    """Import counts of streams from Microsoft's Call Quality Dashboard."""
    from collectors.calls.cqd_rows import MixedSteps, cqd_rows
    from collectors.calls.cqd_sheet import CqdRefused, read_cqd
    from collectors.local_days import local_date

    order = date_order(dates)
    settings = read_config(config)
    if settings.calls.enabled:
        fail(
            "calls.enabled reads every call already, and figures of groups that are "
            "too small would follow from the dashboard's sums"
        )
    estate = read_estate(settings)
    with reading_file(file, CqdRefused):
        sheet = read_cqd(file.read_bytes(), order)
    state = ensure_folder(settings.state / "cqd.json", "state")
    try:
        rows = cqd_rows(
            sheet.counts,
            _site_of(estate, settings.calls),
            _read_steps(state),
            settings.groups.least,
            local_date(wall_ms(), UTC),
        )
    except MixedSteps as error:
        fail(f"{file}: {error}")
    report_left_out(file, sheet.remarks, _left_out(rows), rows.samples)
    # First what is kept by day or by month: without it, rows could follow that may not.
    _write_steps(state, rows)
    import_rows(settings, rows.samples, f"cqd/{file.name}", "site")


def _site_of(estate: Estate, calls: CallsConfig) -> Callable[[CqdCount], str]:
    """Returns the function that finds a count's site, by its building's name or else by
    its subnet."""
    from collectors.calls.building_file import BuildingsRefused, read_buildings
    from collectors.calls.call_places import CallLocator, sites_by_building
    from collectors.calls.call_record import EndAddresses

    try:
        buildings = [] if calls.buildings is None else read_buildings(calls.buildings)
    except BuildingsRefused as error:
        usage_error([f"calls.buildings: {error}"])
    by_name = sites_by_building(buildings, estate.sites)
    locate = CallLocator(estate.sites, buildings, vpn=calls.vpn_subnets)

    def site_of(count: CqdCount) -> str:
        site = by_name.get(count.place.casefold(), "")
        if site or not count.network:
            return site
        address = count.network.partition("/")[0]
        return locate(EndAddresses(address, "", "", "unknown")).site

    return site_of


def _left_out(rows: CqdRows) -> list[str]:
    found = []
    if rows.small:
        found.append(
            f"{counted(rows.small, 'row')} of a site left out: too few streams"
        )
    if rows.not_over:
        found.append(
            f"{counted(rows.not_over, 'row')} left out: a day or month that ended less "
            "than a day ago, or is not over"
        )
    if rows.too_old:
        found.append(
            f"{counted(rows.too_old, 'row')} left out: older than what is kept"
        )
    if rows.unplaced:
        names = ", ".join(rows.unplaced[:SHOWN])
        more = f" and {n} more" if (n := len(rows.unplaced) - SHOWN) > 0 else ""
        found.append(f"at no site of the estate, left out: {names}{more}")
    return found


def _read_steps(state: Path) -> dict[str, Step]:
    import msgspec

    from collectors.calls.cqd_sheet import Step

    try:
        return msgspec.json.decode(state.read_bytes(), type=dict[str, Step])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        fail(f"{state}: cannot be read ({error}): restore it, or remove cqd_streams")


def _write_steps(state: Path, rows: CqdRows) -> None:
    import msgspec

    try:
        replace_file(state, msgspec.json.encode(dict(rows.steps)), durable=True)
    except OSError as error:
        fail(sentence_of(error))
