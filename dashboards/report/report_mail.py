"""The e-mail that a report is sent with: the summary is its text, the files are
attached."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from dashboards.report.make_report import ReportFiles
from probes.wire.display import displayable

# Many mail servers take no more than ten megabytes, which attachments outgrow by a
# third on the way.
MOST_ATTACHED_BYTES = 7_000_000
_TYPES = {
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv",
}


def compose_report_mail(
    made: ReportFiles,
    sender: str,
    to: Sequence[str],
    now_ms: int,
    base_url: str = "",
    most_bytes: int = MOST_ATTACHED_BYTES,
) -> EmailMessage:
    """Returns the mail. It has the same Message-ID whenever the same report goes to the
    same people, so that one that arrives twice is known to be the same. Files of
    `most_bytes` at most are attached. Blocking: reads the files."""
    attached, left_out = _choose(made.files, most_bytes)
    message = EmailMessage()
    message["Subject"] = displayable(made.title)
    message["From"] = Address("Towpath", addr_spec=sender)
    message["To"] = ", ".join(to)
    message["Date"] = format_datetime(datetime.fromtimestamp(now_ms / 1000, UTC))
    names = "\n".join((made.title, *(path.name for path in made.files), *to))
    unique = hashlib.sha256(names.encode()).hexdigest()[:32]
    message["Message-ID"] = f"<report-{unique}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(made.summary + _ending(made, attached, left_out, base_url))
    for path in attached:
        kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
        main, sub = (kind or "application/octet-stream").split("/")
        message.add_attachment(
            path.read_bytes(), maintype=main, subtype=sub, filename=path.name
        )
    return message


def _choose(files: Sequence[Path], most_bytes: int) -> tuple[list[Path], list[Path]]:
    """Returns the files to attach, smallest first, and those that would be too much."""
    attached: list[Path] = []
    left_out: list[Path] = []
    total = 0
    for path in sorted(files, key=lambda path: (path.stat().st_size, path.name)):
        total += path.stat().st_size
        (attached if total <= most_bytes else left_out).append(path)
    return attached, left_out


def _ending(
    made: ReportFiles, attached: list[Path], left_out: list[Path], base_url: str
) -> str:
    lines = [""]
    if attached:
        lines.append("Attached: " + ", ".join(path.name for path in attached))
    if left_out:
        names = ", ".join(path.name for path in left_out)
        lines.append(f"Too large to attach: {names}")
    if made.note:
        lines.append(made.note)
    if base_url:
        lines.append(f"All reports: {base_url.rstrip('/')}/reports")
    return "\n".join(lines) + "\n"
