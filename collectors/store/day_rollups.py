"""Which roll-ups the days of the embedded store have, and makes those that are missing.
Only for the writer."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa
import structlog

from collectors.store import day_tops, file_layout, rollup, top_forms
from collectors.store.arrow_tables import is_damaged
from collectors.store.file_layout import StoredFile
from collectors.store.rollup_writer import can_merge, merge_roll_up, roll_up
from collectors.store.store_folder import StoreFolder
from probes.wire.catalogue import Measurement
from probes.wire.fsync import sync

_log = structlog.get_logger(__name__)
# The roll-ups that measurements may have.
LABELS = (*rollup.STEP_OF, day_tops.LABEL)


class DayRollUps:
    """The roll-ups of the days of one store."""

    def __init__(self, folder: StoreFolder) -> None:
        self._folder = folder

    def are_missing(self, declared: Measurement, files: Iterable[StoredFile]) -> bool:
        """Returns True if one of a day's `files` lacks a roll-up."""
        return not declared.personal and any(
            not self._path(declared, label, file).exists()
            for file in files
            for label in _labels(declared)
        )

    def roll_up(self, declared: Measurement, day: Path, day_ms: int) -> None:
        """Rolls up a day that is one file. Blocking. Raises `OSError`."""
        current = file_layout.current_files(self._folder.files_of_day(day, day_ms))
        if declared.personal or len(current) != 1:
            return
        rows = Path(current[0].path)
        for label in _labels(declared):
            target = self._path(declared, label, current[0])
            if target.exists():
                continue
            source = self._source(declared, label, current[0])
            tmp = self._folder.root / "tmp" / f"roll-{secrets.token_hex(8)}.parquet"
            try:
                _write(declared, label, source, tmp, source == rows)
                sync(tmp)
                self._folder.publish([(tmp, target)])
            except (pa.ArrowException, duckdb.Error, OSError) as error:
                # Arrow's error for a damaged file has no number; those of a disk have.
                if isinstance(error, OSError) and error.errno is not None:
                    raise
                _log.warning("store_day_not_rolled_up", day=str(day), error=str(error))
                if source != rows and is_damaged(str(source)):
                    # It is made again.
                    source.unlink(missing_ok=True)
                return
            finally:
                tmp.unlink(missing_ok=True)
            others = [path for path in target.parent.iterdir() if path != target]
            kept = rollup.without_source(others, current, day_ms)
            for other in others:
                if other not in kept:
                    other.unlink(missing_ok=True)

    def _path(self, declared: Measurement, label: str, file: StoredFile) -> Path:
        path = Path(file.path)
        name = rollup.file_name(path.name, declared)
        if label == day_tops.LABEL:
            name = day_tops.file_name(name)
        return self._folder.rollup_folder(declared, label) / path.parent.name / name

    def _source(self, declared: Measurement, label: str, file: StoredFile) -> Path:
        """Returns what a roll-up is made from: that of a shorter step, or the rows."""
        if label == day_tops.LABEL:
            form = top_forms.form_of(declared)
            before = form.step_ms if form else None
        else:
            step_ms = rollup.STEP_OF[label]
            shorter = [kept for kept in rollup.steps_kept(declared) if kept < step_ms]
            is_merged = shorter and can_merge(step_ms, declared)
            before = shorter[-1] if is_merged else None
        if before is None:
            return Path(file.path)
        return self._path(declared, rollup.STEPS_MS[before], file)


def _write(
    declared: Measurement, label: str, source: Path, target: Path, is_of_rows: bool
) -> None:
    if label == day_tops.LABEL:
        day_tops.write_tops(source, target, declared)
        return
    write = roll_up if is_of_rows else merge_roll_up
    write(str(source), target, rollup.STEP_OF[label], declared)


def _labels(declared: Measurement) -> list[str]:
    """Returns the roll-ups of a measurement, each after those that it is made from."""
    tops = [day_tops.LABEL] if top_forms.form_of(declared) else []
    return [*rollup.steps_kept(declared).values(), *tops]
