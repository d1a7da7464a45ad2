"""Rows of `alert` and `incident`, for boards and queries.

An alert has a row at each change of state and one every five minutes while it fires, so
that every range of time shows it. An alert that was notified has one row of `incident`,
at the time it began, which its end completes: so incidents can be counted and drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from alerts.alert import Acknowledgement, Alert, StateName
from alerts.alert_text import describe_affected
from alerts.evaluation.alert_states import AlertState
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample, Value

# The severities as numbers, as `event` has them.
_LEVELS = {"info": 1, "warning": 3, "critical": 4}
# Parts of a subject that are fields too, so that links can lead to them.
_PARTS = ("device", "port", "line")


class AlertRepeats:
    """Repeats the rows of firing alerts, all at once, at multiples of the period, and
    adds one for an alert that has just been acknowledged."""

    def __init__(self) -> None:
        self._period_ms = CATALOGUE.measurement("alert").period_s * 1000
        self._repeated_ms: int | None = None
        self._acknowledged: frozenset[str] = frozenset()

    def rows(
        self,
        states: Iterable[AlertState],
        shown: Mapping[str, Alert],
        acks: Mapping[str, Acknowledgement],
        now_ms: int,
    ) -> list[Sample]:
        """Returns the rows that are due at `now_ms`. `shown`: episode → its alert;
        `acks`: episode → who handles it."""
        last_ms, self._repeated_ms = self._repeated_ms, now_ms
        known, self._acknowledged = self._acknowledged, frozenset(acks)
        is_due = (
            last_ms is not None
            and now_ms // self._period_ms != last_ms // self._period_ms
        )
        new = self._acknowledged - known if last_ms is not None else frozenset()
        if not (is_due or new):
            return []
        rows = []
        for state in states:
            alert = shown.get(state.episode)
            if alert is None or state.state != "firing":
                continue
            if is_due or state.episode in new:
                ack = acks.get(state.episode)
                told = alert.acknowledged(ack) if ack else alert
                rows.append(alert_row(told, "firing", now_ms, is_repeated=True))
        return rows


def state_change(
    before: AlertState | None, after: AlertState | None
) -> tuple[StateName, str] | None:
    """Returns the new state if it needs a row, and the text that records it."""
    known = after or before
    assert known is not None
    # What enters the baseline is no alert any more.
    state = "resolved" if after is None or after.is_baseline else after.state
    suppressed = int(bool(after is not None and after.suppressed_by))
    recorded = f"{state}/{suppressed}" if state != "resolved" else ""
    return None if recorded == known.recorded else (state, recorded)


def alert_row(
    alert: Alert, state: StateName, now_ms: int, is_repeated: bool = False
) -> Sample:
    """Returns the row of an alert that is in `state` now, whatever it was before."""
    fields: dict[str, Value] = {
        "state": state,
        "firing": int(state == "firing"),
        "suppressed": int(bool(alert.suppressed_by)),
        "level": _LEVELS[alert.severity],
        "since_ms": alert.since_ms,
        "acknowledged": int(bool(alert.acknowledged_by)),
        # Empty texts too: the last one of the alert before would show otherwise.
        "acknowledged_by": alert.acknowledged_by,
        "acknowledged_why": alert.acknowledged_why,
        **_texts(alert),
        **{name: alert.subject[name] for name in _PARTS if alert.subject.get(name)},
    }
    if not is_repeated:
        fields["changed"] = 1
    if state == "resolved":
        fields["until_ms"] = alert.resolved_ms or now_ms
    if alert.suppressed_by:
        fields["explained_by"] = alert.suppressed_by
    return Sample("alert", _tags(alert), fields, now_ms)


def incident_row(alert: Alert) -> Sample:
    """Returns the row of a notified alert, with its end if it has ended."""
    fields: dict[str, Value] = {"level": _LEVELS[alert.severity], **_texts(alert)}
    if alert.state == "resolved" and alert.resolved_ms is not None:
        fields["until_ms"] = alert.resolved_ms
        fields["lasted_s"] = (alert.resolved_ms - alert.since_ms) / 1000
    return Sample("incident", _tags(alert), fields, alert.since_ms)


def _tags(alert: Alert) -> dict[str, str]:
    return {
        "rule": alert.rule,
        "site": alert.site,
        "subject": alert.key.partition("/")[2],
        "severity": alert.severity,
    }


def _texts(alert: Alert) -> dict[str, Value]:
    texts = {
        "title": alert.title,
        "summary": alert.summary,
        "cause": alert.cause,
        "affected": describe_affected(alert.affected),
        "site_name": alert.site_name,
    }
    return {name: text for name, text in texts.items() if text}
