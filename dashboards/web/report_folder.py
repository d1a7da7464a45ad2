"""The folder of made reports, as the page may show it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_KINDS = {
    ".html": ("web page", "text/html; charset=utf-8"),
    ".csv": ("spreadsheet (CSV)", "text/csv; charset=utf-8"),
    ".pdf": ("PDF", "application/pdf"),
}
_MOST = 500


@dataclass(frozen=True)
class Listed:
    name: str
    kind: str
    bytes: int
    made_ms: int


class Shelf:
    """Only files directly in the folder, of the kinds reports have, are shown."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def listed(self) -> list[Listed]:
        """What is there, newest first. A folder not yet made is an empty one."""
        found = []
        for path in self._files():
            at = path.stat()
            kind = _KINDS[path.suffix][0]
            found.append(Listed(path.name, kind, at.st_size, int(at.st_mtime * 1000)))
        found.sort(key=lambda each: (-each.made_ms, each.name))
        return found[:_MOST]

    def take(self, name: str) -> tuple[bytes, str] | None:
        """(body, content type) of one that is listed; None for any other name."""
        for path in self._files():
            if path.name == name:
                return path.read_bytes(), _KINDS[path.suffix][1]
        return None

    def _files(self) -> list[Path]:
        if self._folder is None or not self._folder.is_dir():
            return []
        return [
            path
            for path in self._folder.iterdir()
            if path.suffix in _KINDS and path.is_file() and not path.is_symlink()
        ]
