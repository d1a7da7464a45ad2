"""Up to where a store has the journal's rows: a small file for each part that writes.

A second store, of another kind or database, has files of its own (decision 061).
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import structlog

from collectors.journal import Positions
from collectors.store.store_config import StoreConfig
from collectors.store.store_parts import StorePart, first_positions, part_of
from probes.wire.atomic_file import replace_file

_log = structlog.get_logger(__name__)


def saved_positions(
    config: StoreConfig, part: StorePart | None = None
) -> Positions | None:
    """Returns from where the part's reader is to start; None if nothing is stored."""
    saved = {
        found: positions
        for found, path in _files(config).items()
        if (positions := _read(path)) is not None
    }
    return first_positions(part or StorePart(), saved)


def remove_other_positions(config: StoreConfig, count: int) -> None:
    """Removes the files of another number of parts."""
    for part, path in _files(config).items():
        if part.count != count:
            path.unlink(missing_ok=True)


def positions_path(config: StoreConfig, reader: str) -> Path:
    """The file of a reader's positions."""
    return config.folder / f"{reader}{_end(config)}"


def save_positions(path: Path, positions: Positions) -> None:
    """Returns when they are on disk. Raises `OSError`."""
    replace_file(path, msgspec.json.encode(positions), durable=True)


def _files(config: StoreConfig) -> dict[StorePart, Path]:
    end = _end(config)
    found = {}
    for path in sorted(config.folder.glob(f"store*{end}")):
        if (part := part_of(path.name.removesuffix(end))) is not None:
            found[part] = path
    return found


def _end(config: StoreConfig) -> str:
    store = config.kind if config.kind == "embedded" else f"influxdb-{config.database}"
    return f"-{store}.positions.json"


def _read(path: Path) -> Positions | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Positions)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        # Nothing is lost: rows that are written again replace themselves.
        _log.error("store_positions_unreadable", file=str(path), error=str(error))
        return None
