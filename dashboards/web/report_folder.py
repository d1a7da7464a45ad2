"""The folder of reports, as the page may show it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_KINDS = {
    ".html": ("web page", "text/html; charset=utf-8"),
    ".xlsx": (
        "workbook (Excel)",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ".parquet": ("table (Parquet)", "application/vnd.apache.parquet"),
    ".csv": ("spreadsheet (CSV)", "text/csv; charset=utf-8"),
    ".pdf": ("PDF", "application/pdf"),
}
_MAX_FILES = 500


@dataclass(frozen=True)
class ReportFile:
    name: str
    kind: str
    bytes: int
    made_ms: int


class ReportFolder:
    """Shows only files directly in the folder, of the types that reports have."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def list_files(self) -> list[ReportFile]:
        """Returns the files, newest first; none if the folder does not exist yet."""
        files = []
        for path in self._files():
            at = path.stat()
            kind = _KINDS[path.suffix][0]
            files.append(
                ReportFile(path.name, kind, at.st_size, int(at.st_mtime * 1000))
            )
        files.sort(key=lambda file: (-file.made_ms, file.name))
        return files[:_MAX_FILES]

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Returns (body, content type) of a listed file; None for any other name."""
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
