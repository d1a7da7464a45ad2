"""`SilenceCoverage`: which alerts the silences in force cover. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.rule_files import Rules
from alerts.silence import Silence


class SilenceCoverage:
    """The silences that are in force at `now_ms`, ready to be asked about alerts.

    A silence covers alerts about what it names, and alerts at a site or device that it
    names. One about lines covers their ports too, and what the loss of these lines
    explains: if all lines of a site are down for maintenance, nothing there answers,
    whether or not the lines are measured.
    """

    def __init__(
        self,
        silences: Iterable[Silence],
        rules: Rules,
        estate_index: EstateIndex,
        now_ms: int,
    ) -> None:
        self._rules, self._estate_index = rules, estate_index
        self._active = [s for s in silences if s.is_active(now_ms)]
        self._lines = {s.id: self._lines_of(s) for s in self._active}

    def covering(self, alert_state: AlertState) -> list[Silence]:
        return [s for s in self._active if self._covers(s, alert_state)]

    def until_ms(self, alert_state: AlertState) -> int:
        """When the last silence that covers it ends; 0 if none does."""
        if not self._active:
            return 0
        return max((s.until_ms for s in self.covering(alert_state)), default=0)

    def _lines_of(self, silence: Silence) -> frozenset[str]:
        """The lines that it names, by their id or their supplier."""
        return frozenset(
            line.id
            for line in self._estate_index.estate.lines
            if (silence.line or silence.supplier)
            and silence.line in ("", line.id)
            and silence.supplier in ("", line.supplier)
        )

    def _covers(self, silence: Silence, alert_state: AlertState) -> bool:
        subject = alert_state.subject
        return (
            silence.rule in ("", alert_state.rule)
            and silence.site in ("", alert_state.site)
            and silence.device in ("", *self._devices_of(subject))
            and (
                not (silence.line or silence.supplier)
                or self._covers_line(silence, alert_state)
            )
        )

    def _devices_of(self, subject: Mapping[str, str]) -> tuple[str, ...]:
        """The device that it is about, or those that its room needs."""
        room = self._estate_index.rooms.get(subject.get("room", ""))
        return (subject.get("device", ""), *(room.all_devices if room else ()))

    def _covers_line(self, silence: Silence, alert_state: AlertState) -> bool:
        lines, subject = self._lines[silence.id], alert_state.subject
        if subject.get("line"):
            return subject["line"] in lines
        if silence.supplier and subject.get("supplier") == silence.supplier:
            return True
        place = (subject.get("device", ""), subject.get("port", ""))
        at_port = self._estate_index.line_at.get(place)
        if at_port is not None:
            return at_port.id in lines
        return self._follows_from_lines(alert_state, lines)

    def _follows_from_lines(
        self, alert_state: AlertState, lines: frozenset[str]
    ) -> bool:
        """Whether the loss of `lines` would explain the alert by the rules."""
        at_site = self._estate_index.lines_of.get(alert_state.site, ())
        down = [line for line in at_site if line.id in lines]
        relations = {
            explanation.relation
            for explanation in self._rules.links.get(alert_state.rule, ())
            if _is_about_lines(self._rules, explanation.cause)
        }
        return bool(down) and (
            "site_line" in relations
            or ("site_lines" in relations and len(down) == len(at_site))
            or (
                "primary_line" in relations
                and any(line.role == "primary" for line in down)
            )
        )


def _is_about_lines(rules: Rules, id: str) -> bool:
    return any("line" in rule.subject for _, rule in rules.find_all(id))


def next_times(silences: Sequence[Silence], now_ms: int) -> list[Silence]:
    """Those in force and, of each window that recurs, only its next time: a list of
    every night of the coming weeks hides what matters."""
    listed: list[Silence] = []
    listed_windows: set[tuple[str, str]] = set()
    for silence in sorted(silences, key=lambda s: (s.from_ms, s.id)):
        if silence.until_ms <= now_ms:
            continue
        window = (silence.source, silence.uid)
        if silence.source and window in listed_windows and silence.from_ms > now_ms:
            continue
        listed.append(silence)
        if silence.from_ms > now_ms:
            listed_windows.add(window)
    return listed
