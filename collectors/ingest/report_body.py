"""Turns the bytes of a request into reports, and rejects what is not one.

Pure functions. Their input comes from the network: whatever it is, the result is
reports, rejections or `BodyRejected`, in bounded time and memory.
"""

from __future__ import annotations

import msgspec

from collectors.ingest.rejection_reasons import BodyRejected, RejectionReason
from collectors.ingest.version_tolerance import drop_unknown
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


class RejectedReport(msgspec.Struct, frozen=True):
    """One report of a body that cannot be accepted; `raw` is what was sent."""

    id: str
    reason: RejectionReason
    why: str
    raw: bytes

    def refusal(self) -> ReportRefusal:
        return ReportRefusal(self.id, f"{self.reason}: {self.why}", self.reason.value)


class _Head(msgspec.Struct):
    """The part of a report that is read first, whatever else the report holds."""

    id: object = ""
    version: object = None

    @property
    def short_id(self) -> str:
        return self.id[:64] if isinstance(self.id, str) else ""


_list = msgspec.json.Decoder(list[msgspec.Raw])
_report = msgspec.json.Decoder(Report)
_head = msgspec.json.Decoder(_Head)
# A number that no float can hold (1e999) becomes None, which is dropped later.
_any = msgspec.json.Decoder(float_hook=lambda digits: finite(float(digits)))


def split_body(body: bytes) -> list[msgspec.Raw]:
    """Splits a body into its reports, not yet decoded. Raises `BodyRejected`."""
    if len(body) > MAX_BODY_BYTES:
        raise BodyRejected(
            RejectionReason.TOO_LARGE, f"the body is larger than {MAX_BODY_BYTES} bytes"
        )
    try:
        parts = _list.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BodyRejected(
            RejectionReason.UNREADABLE,
            f"expected a JSON list of reports: {_short(error)}",
        ) from None
    if len(parts) > MAX_REPORTS:
        raise BodyRejected(
            RejectionReason.TOO_LARGE,
            f"{len(parts)} reports in one body, expected at most {MAX_REPORTS}",
        )
    return parts


def read_report(
    raw: msgspec.Raw, agent: str | None, versions: range = READ_VERSIONS
) -> Report | RejectedReport:
    """Decodes a report, or returns why it is rejected.

    `agent` is the sender (None if anonymous); `versions` are the wire versions that
    this server reads.
    """
    try:
        head = _head.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        head = _Head()
    version = head.version
    if type(version) is int and version not in versions:
        why = _other_version(version, versions)
        return RejectedReport(head.short_id, RejectionReason.VERSION, why, bytes(raw))
    try:
        report = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return RejectedReport(
            head.short_id, RejectionReason.MALFORMED, _short(error), bytes(raw)
        )
    fault = _fault(report, agent)
    if fault is None:
        return report
    reason, why = fault
    return RejectedReport(report.id, reason, why, bytes(raw))


def with_plausible_time(report: Report, now_ms: int, max_ahead_ms: int) -> Report:
    """Returns the report, moved to now if it is from the future. Pure.

    Nothing can have been measured after now, so the laptop's clock is wrong by as much.
    """
    newest_ms = max((r.time_ms for r in report.results), default=0)
    ahead_ms = max(newest_ms, report.sent_ms) - now_ms
    return moved(report, -ahead_ms) if ahead_ms > max_ahead_ms else report


def _fault(report: Report, agent: str | None) -> tuple[RejectionReason, str] | None:
    if agent is not None and report.agent != agent:
        return (
            RejectionReason.NOT_YOURS,
            "the report names another agent than its sender",
        )
    texts = [report.software, report.whereabouts.site]
    for result in report.results:
        texts.append(result.target)
        texts.extend(v for v in result.values.values() if isinstance(v, str))
    for text in texts:
        if len(text) > _MAX_TEXT or not text.isprintable():
            return RejectionReason.MALFORMED, (
                f"a text is longer than {_MAX_TEXT} characters or not printable"
            )
    return None


def _decode(raw: msgspec.Raw) -> Report:
    try:
        return _report.decode(raw)
    except msgspec.ValidationError:
        # A newer agent may use values unknown here. Only then take the slow path.
        return msgspec.convert(drop_unknown(_any.decode(raw)), Report)


def _other_version(version: int, versions: range) -> str:
    supported = " and ".join(str(version) for version in versions)
    return f"the report has version {version}, this server reads {supported}"


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
