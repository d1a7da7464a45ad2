"""The figures of a group's streams and sessions. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.calls.call_record import SessionEnd, StreamEnd
from collectors.calls.grouped_figures import CallFigures
from collectors.calls.stream_verdict import poor_share
from collectors.experience.agent_statistics import coarse_percentile, share_of
from probes.wire.sample import Value

_SIDES = ("client", "network", "server", "unknown")
_DUE_TO = {"jitter": "jitter_ms", "loss": "loss_ratio", "rtt": "rtt_ms"}
# With fewer, one call decides whether a share is high.
FEW_STREAMS = 30
MEASURED = "measured"
TOO_FEW_STREAMS = f"fewer than {FEW_STREAMS} streams with a verdict"
NO_VERDICT = "too few people with a verdict"


def _unclassified(rows: Sequence[StreamEnd]) -> dict[str, Value]:
    return {"unclassified_ratio": share_of(rows, lambda r: r.verdict == "unclassified")}


def _is_classified(row: StreamEnd) -> bool:
    return row.verdict != "unclassified"


def _poor(rows: Sequence[StreamEnd]) -> float:
    poor = sum(row.verdict == "poor" for row in rows)
    return poor_share(poor, len(rows) - poor) or 0.0


def _verdicts(rows: Sequence[StreamEnd]) -> dict[str, Value]:
    return {
        "poor_ratio": _poor(rows),
        **{
            f"poor_{name}_ratio": share_of(rows, lambda r, f=figure: f in r.due_to)  # type: ignore[misc]
            for name, figure in _DUE_TO.items()
        },
        **{
            f"side_{side}_ratio": share_of(
                rows,
                lambda r, s=side: r.verdict == "poor" and r.side == s,  # type: ignore[misc]
            )
            for side in _SIDES
        },
    }


def _leg(name: str, sent: bool) -> CallFigures[StreamEnd]:
    return CallFigures(
        f"{name}_classified",
        lambda row: _is_classified(row) and row.sent is sent,
        lambda rows: {f"{name}_poor_ratio": _poor(rows)},
    )


def _p95(name: str) -> CallFigures[StreamEnd]:
    def value(row: StreamEnd) -> float | None:
        return row.jitter_ms if name == "jitter" else row.rtt_ms

    return CallFigures(
        f"{name}_streams",
        lambda row: value(row) is not None,
        lambda rows: {
            f"{name}_p95_ms": coarse_percentile([value(row) or 0.0 for row in rows], 95)
        },
    )


def _loss(rows: Sequence[StreamEnd]) -> dict[str, Value]:
    return {"loss_mean_ratio": sum(row.loss_ratio or 0.0 for row in rows) / len(rows)}


_VERDICTS = CallFigures("classified", _is_classified, _verdicts)
# What groups and rooms have, and what only groups have.
ROOM_FIGURES: tuple[CallFigures[StreamEnd], ...] = (
    CallFigures("streams", lambda row: True, _unclassified),
    CallFigures("classified", _is_classified, lambda rows: {"poor_ratio": _poor(rows)}),
    _p95("jitter"),
    _p95("rtt"),
    CallFigures("loss_streams", lambda row: row.loss_ratio is not None, _loss),
)
GROUP_FIGURES: tuple[CallFigures[StreamEnd], ...] = (
    *(figures for figures in ROOM_FIGURES if figures.weight != "classified"),
    _VERDICTS,
    _leg("sent", True),
    _leg("received", False),
)
SESSION_FIGURES: tuple[CallFigures[SessionEnd], ...] = (
    CallFigures(
        "sessions",
        lambda row: True,
        lambda rows: {
            "setup_failed_ratio": share_of(rows, lambda r: r.failed == "setup")
        },
    ),
    CallFigures(
        "set_up_sessions",
        lambda row: row.failed != "setup",
        lambda rows: {"dropped_ratio": share_of(rows, lambda r: r.failed == "midcall")},
    ),
)


def stream_state(classified: Value | None) -> str:
    """Returns whether a group has enough streams with a verdict, in words."""
    if not isinstance(classified, int):
        return NO_VERDICT
    return MEASURED if classified >= FEW_STREAMS else TOO_FEW_STREAMS
