"""Which alerts are paged, and which only stand behind another that is. Pure.

1. Notifying is suppressed, measuring never: every alert keeps its own standing.
2. Starting is suppressed, resolving never: what was paged gets its resolution.
3. The parent is confirmed first: nothing is paged while a possible cause is pending, or
   before it was measured after the alert began (or a period has passed).
4. When the cause ends and its consequence does not, the consequence is paged, once it
   was measured again.
5. Whoever is silenced or in maintenance silences what hangs on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from alerts.estate_index import Topology
from alerts.evaluate import Changes, Entry, Standing, key_of
from alerts.rule_files import Explanation, Rules
from alerts.window import Window
from collectors.server_measurements import CATALOGUE

# After a cause has ended its consequences have this long to be measured again.
SETTLE_MS = 30_000
# Two ends of one cable are seen to go within this of each other.
_TOGETHER_MS = 180_000


class Silence(msgspec.Struct, frozen=True):
    """Nobody is paged for what it covers between two times; empty texts cover all.

    `planned`: maintenance that was announced, which reports show apart.
    """

    id: int
    from_ms: int
    until_ms: int
    site: str = ""
    device: str = ""
    rule: str = ""
    why: str = ""
    who: str = ""
    planned: int = 0

    def covers(self, entry: Entry, now_ms: int) -> bool:
        return (
            self.from_ms <= now_ms < self.until_ms
            and (not self.site or self.site == entry.site)
            and (not self.device or self.device == entry.subject.get("device"))
            and (not self.rule or self.rule == entry.rule)
        )


class Decision(NamedTuple):
    """What standing becomes, and whom to tell: keys to page, keys to call off."""

    changes: Changes
    pages: list[str]
    resolutions: list[str]


class _Causes(NamedTuple):
    """Subjects of one rule that would explain an alert; `all` of them, or any."""

    rule: str
    subjects: tuple[dict[str, str], ...]
    all: bool = False


def decide(
    standing: Standing,
    rules: Rules,
    window: Window,
    topology: Topology,
    silences: Sequence[Silence],
    now_ms: int,
) -> Decision:
    """Looks at every entry of `standing`."""
    changes: Changes = {}
    pages: list[str] = []
    resolutions: list[str] = []
    active = {k: e for k, e in standing.items() if e.is_open}
    direct = {
        key: _direct_cause(entry, active, rules, topology)
        for key, entry in active.items()
    }
    for key, entry in standing.items():
        if not entry.is_open:
            if entry.paged_ms is not None:
                resolutions.append(key)
                changes[key] = msgspec.structs.replace(entry, paged_ms=None)
            continue
        root = _root(key, direct)
        freed_ms = entry.freed_ms
        if entry.suppressed_by and not root:
            freed_ms = _ended_ms(standing.get(entry.suppressed_by), now_ms)
        silenced = [s for s in silences if s.covers(entry, now_ms)]
        silenced_until_ms = max((s.until_ms for s in silenced), default=0)
        after = entry
        if (root, freed_ms, silenced_until_ms) != (
            entry.suppressed_by,
            entry.freed_ms,
            entry.silenced_until_ms,
        ):
            after = msgspec.structs.replace(
                entry,
                suppressed_by=root,
                explained_by=root or entry.explained_by,
                freed_ms=freed_ms,
                silenced_until_ms=silenced_until_ms,
            )
        if (
            after.paged_ms is None
            and not root
            and not silenced
            and _is_due(after, rules, window, topology, now_ms)
        ):
            after = msgspec.structs.replace(after, paged_ms=now_ms, explained_by="")
            pages.append(key)
        if after is not entry:
            changes[key] = after
    return Decision(changes, pages, resolutions)


def consequences(key: str, standing: Standing) -> list[Entry]:
    """The open alerts that alert of `key` explains, directly or through others."""
    return [e for e in standing.values() if e.is_open and e.suppressed_by == key]


def _is_due(
    entry: Entry, rules: Rules, window: Window, topology: Topology, now_ms: int
) -> bool:
    rule = rules.of(entry.rule, entry.site)
    if entry.state != "firing" or rule is None:
        return False
    if entry.clear_ms is not None and not entry.flapping:
        # It is well again and only waits to be over.
        return False
    if now_ms < entry.since_ms + rule.page_after_ms:
        return False
    if entry.freed_ms:
        measured_again = entry.bad_ms > entry.freed_ms or rule.silence == "blind"
        if now_ms < entry.freed_ms + SETTLE_MS or not measured_again:
            return False
    # The hold of a rule may be shorter than the period of what would explain it.
    for link in rules.links.get(entry.rule, ()):
        cause_rule = rules.of(link.cause, entry.site)
        if cause_rule is None:
            continue
        period_ms = CATALOGUE.measurement(cause_rule.measurement).period_s * 1000
        waited = now_ms >= entry.since_ms + period_ms + SETTLE_MS
        if waited or cause_rule.silence == "blind":
            continue
        for causes in _candidates(link, entry, topology):
            for subject in causes.subjects:
                if window.heard_ms(link.cause, subject) < entry.since_ms:
                    return False
    return True


def _direct_cause(
    entry: Entry, active: Mapping[str, Entry], rules: Rules, topology: Topology
) -> str:
    """Key of the nearest alert that explains `entry`; the empty text for none.

    A pending cause counts: until it is confirmed nobody is told of its consequences.
    """
    for link in rules.links.get(entry.rule, ()):
        for causes in _candidates(link, entry, topology):
            keys = [key_of(causes.rule, subject) for subject in causes.subjects]
            there = [
                key for key in keys if key in active and _fits(link, active[key], entry)
            ]
            if there and (not causes.all or len(there) == len(keys)):
                return there[0]
    return ""


def _fits(link: Explanation, cause: Entry, entry: Entry) -> bool:
    if link.relation == "parent_port":
        return abs(cause.since_ms - entry.since_ms) <= _TOGETHER_MS
    return True


def _root(key: str, direct: Mapping[str, str]) -> str:
    """The first cause of `key`; the empty text where it has none. In a ring of causes
    (a wrong estate) the least key is the root, so that someone is told."""
    seen = [key]
    at = direct.get(key, "")
    while at:
        if at in seen:
            least = min(seen[seen.index(at) :])
            return "" if least == key else least
        seen.append(at)
        further = direct.get(at, "")
        if not further:
            return at
        at = further
    return ""


def _ended_ms(cause: Entry | None, now_ms: int) -> int:
    if cause is None or cause.resolved_ms is None:
        return now_ms
    return cause.resolved_ms


def _candidates(
    link: Explanation, entry: Entry, topology: Topology
) -> Iterator[_Causes]:
    for subjects, all_of_them in _RELATIONS[link.relation](entry, topology):
        named = tuple(
            subject
            for subject in subjects
            if link.cause != entry.rule or subject != entry.subject
        )
        if named:
            yield _Causes(link.cause, named, all_of_them)


_Subjects = Iterator[tuple[list[dict[str, str]], bool]]


def _ancestor(entry: Entry, topology: Topology) -> _Subjects:
    """The devices its device, or all the ways out of its site, hang on."""
    device = entry.subject.get("device")
    if device:
        yield [{"device": d} for d in topology.ancestors(device)], False
        return
    tops = topology.tops.get(entry.site, [])
    for above in topology.ancestors(tops[0]) if tops else ():
        if all(above in topology.ancestors(top) for top in tops):
            yield [{"device": above}], False


def _everything(entry: Entry, topology: Topology) -> _Subjects:
    yield [{}], False


def _same_site(entry: Entry, topology: Topology) -> _Subjects:
    if entry.site:
        yield [{"site": entry.site}], False


def _same_device(entry: Entry, topology: Topology) -> _Subjects:
    if entry.subject.get("device"):
        yield [{"device": entry.subject["device"]}], False


def _same_subject(entry: Entry, topology: Topology) -> _Subjects:
    yield [dict(entry.subject)], False


def _site_lines(entry: Entry, topology: Topology) -> _Subjects:
    """Every line of its site that is seen from the other end. A line seen from inside
    the site is seen by a device that still answers: it explains no silence."""
    lines = [line for line in topology.lines_of.get(entry.site, []) if line.far_end]
    yield [{"line": line.id} for line in lines], True


def _site_line(entry: Entry, topology: Topology) -> _Subjects:
    yield [{"line": line.id} for line in topology.lines_of.get(entry.site, [])], False


def _primary_line(entry: Entry, topology: Topology) -> _Subjects:
    lines = topology.lines_of.get(entry.site, [])
    yield [{"line": line.id} for line in lines if line.role == "primary"], False


def _line_port(entry: Entry, topology: Topology) -> _Subjects:
    place = (entry.subject.get("device", ""), entry.subject.get("port", ""))
    line = topology.line_at.get(place)
    if line is not None:
        yield [{"line": line.id}], False


def _site_line_port(entry: Entry, topology: Topology) -> _Subjects:
    lines = topology.lines_of.get(entry.site, [])
    yield [{"device": line.device, "port": line.port} for line in lines], False


def _site_tops(entry: Entry, topology: Topology) -> _Subjects:
    tops = topology.tops.get(entry.site, [])
    if tops:
        yield [{"device": device} for device in tops], True


def _parent_port(entry: Entry, topology: Topology) -> _Subjects:
    """Devices that hang on the one whose port this is: the port is their cable."""
    device = entry.subject.get("device", "")
    if (device, entry.subject.get("port", "")) not in topology.line_at:
        yield [{"device": child} for child in topology.children.get(device, [])], False


_RELATIONS: dict[str, Callable[[Entry, Topology], _Subjects]] = {
    "ancestor": _ancestor,
    "everything": _everything,
    "line_port": _line_port,
    "parent_port": _parent_port,
    "primary_line": _primary_line,
    "same_device": _same_device,
    "same_site": _same_site,
    "same_subject": _same_subject,
    "site_line": _site_line,
    "site_lines": _site_lines,
    "site_line_port": _site_line_port,
    "site_tops": _site_tops,
}
