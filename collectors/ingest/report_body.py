"""From the bytes of a request to reports that may enter, and why others may not.

Pure functions. What they are given comes from the network: whatever it is, the
answer is reports, refusals, or `BodyRefused`; within bounded time and memory.
"""

from __future__ import annotations

import msgspec

from collectors.ingest.rejection_reasons import BodyRefused, Reason
from collectors.ingest.version_tolerance import understood
from probes.wire.numbers import finite
from probes.wire.report import (
    MAX_BODY_BYTES,
    MAX_REPORTS,
    READ_VERSIONS,
    Report,
    ReportRefusal,
    moved,
)

_MAX_TEXT = 200


class Rejected(msgspec.Struct, frozen=True):
    """One report of a body that cannot be taken; `raw` is what was sent."""

    id: str
    reason: Reason
    why: str
    raw: bytes

    def refusal(self) -> ReportRefusal:
        return ReportRefusal(self.id, f"{self.reason}: {self.why}", self.reason.value)


class _Head(msgspec.Struct):
    """What is read of any report first, whatever else is in it."""

    id: object = ""
    version: object = None

    @property
    def short_id(self) -> str:
        return self.id[:64] if isinstance(self.id, str) else ""


_list = msgspec.json.Decoder(list[msgspec.Raw])
_report = msgspec.json.Decoder(Report)
_head = msgspec.json.Decoder(_Head)
# Of a number that no float can hold (1e999) None, which is left out like any odd value.
_any = msgspec.json.Decoder(float_hook=lambda digits: finite(float(digits)))


def split(body: bytes) -> list[msgspec.Raw]:
    """The reports of a body, each still unread; `BodyRefused` if it is no list."""
    if len(body) > MAX_BODY_BYTES:
        raise BodyRefused(
            Reason.TOO_LARGE, f"the body is larger than {MAX_BODY_BYTES} bytes"
        )
    try:
        parts = _list.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BodyRefused(
            Reason.UNREADABLE, f"expected a JSON list of reports: {_short(error)}"
        ) from None
    if len(parts) > MAX_REPORTS:
        raise BodyRefused(
            Reason.TOO_LARGE,
            f"{len(parts)} reports in one body, expected at most {MAX_REPORTS}",
        )
    return parts


def read(
    raw: msgspec.Raw, agent: str | None, versions: range = READ_VERSIONS
) -> Report | Rejected:
    """The report, or why it is rejected. `agent` is who sent it (None: not asked),
    `versions` those of the wire that are read."""
    try:
        head = _head.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        head = _Head()
    version = head.version
    if type(version) is int and version not in versions:
        why = _other_version(version, versions)
        return Rejected(head.short_id, Reason.VERSION, why, bytes(raw))
    try:
        report = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Rejected(head.short_id, Reason.MALFORMED, _short(error), bytes(raw))
    found = _fault(report, agent)
    if found is None:
        return report
    reason, why = found
    return Rejected(report.id, reason, why, bytes(raw))


def in_time(report: Report, now_ms: int, max_ahead_ms: int) -> Report:
    """The report itself; where it is from the future, the same from now: nothing was
    measured after now, so its clock is wrong by as much. Pure."""
    newest_ms = max((r.time_ms for r in report.results), default=0)
    ahead_ms = max(newest_ms, report.sent_ms) - now_ms
    return moved(report, -ahead_ms) if ahead_ms > max_ahead_ms else report


def _fault(report: Report, agent: str | None) -> tuple[Reason, str] | None:
    if agent is not None and report.agent != agent:
        return Reason.NOT_YOURS, "the report names another agent than its sender"
    texts = [report.software, report.whereabouts.site]
    for result in report.results:
        texts.append(result.target)
        texts.extend(v for v in result.values.values() if isinstance(v, str))
    for text in texts:
        if len(text) > _MAX_TEXT or not text.isprintable():
            return Reason.MALFORMED, (
                f"a text is longer than {_MAX_TEXT} characters or not printable"
            )
    return None


def _decode(raw: msgspec.Raw) -> Report:
    try:
        return _report.decode(raw)
    except msgspec.ValidationError:
        # Perhaps a newer agent knows more words: the slow way is for those alone.
        return msgspec.convert(understood(_any.decode(raw)), Report)


def _other_version(version: int, versions: range) -> str:
    ours = " and ".join(str(each) for each in versions)
    return f"the report has version {version}, this server reads {ours}"


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
