"""Generated rows for alert rules: breaches, recoveries, values between both thresholds
and exactly on them, gaps, rows that arrive late, several subjects."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alerts.rule import Condition, Rule
from alerts.window import reach_ms
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample, Value

SUBJECTS = ("s1", "s2", "s3", "late", "well")
Table = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Arrival:
    """A row, and when it reaches the engine and the store."""

    sample: Sample
    received_ms: int


def table_of(rule: Rule) -> Table:
    """Rules of one table share their rows: the measurement, and tags with one value."""
    fixed = tuple((tag, values[0]) for tag, values in sorted(rule.where.items()))
    return rule.measurement, fixed


def generate_rows(
    rules: Sequence[Rule], start_ms: int, end_ms: int, seed: int
) -> list[Arrival]:
    """Returns the rows of all subjects of all tables, in the order of their arrival."""
    chance = random.Random(seed)
    tables: dict[Table, list[Rule]] = {}
    for rule in rules:
        tables.setdefault(table_of(rule), []).append(rule)
    rows = [
        row
        for table, table_rules in tables.items()
        for n, subject in enumerate(subjects_of(table))
        for row in _rows(table, table_rules, subject, n, (start_ms, end_ms), chance)
    ]
    return sorted(rows, key=lambda row: (row.received_ms, row.sample.time_ms))


def subjects_of(table: Table) -> tuple[str, ...]:
    """There is one group of all laptops."""
    return SUBJECTS[:1] if ("by", "all") in table[1] else SUBJECTS


def tags_of(table: Table, subject: str) -> dict[str, str]:
    measurement, fixed = table
    names = [tag.name for tag in CATALOGUE.measurement(measurement).tags]
    subjects = dict.fromkeys(names, subject)
    if "site" in subjects:
        subjects["site"] = f"site-{subject}"
    return subjects | dict(fixed)


def _rows(
    table: Table,
    rules: Sequence[Rule],
    subject: str,
    n: int,
    span: tuple[int, int],
    chance: random.Random,
) -> Iterator[Arrival]:
    declared = CATALOGUE.measurement(table[0])
    period_ms = declared.period_s * 1000
    # Not within the moments in which a row is measured, but has not arrived.
    times = range(span[0] + (0, 10_000, 20_000, 31_000, 15_000)[n], span[1], period_ms)
    delay_ms = 3_000
    if subject == "late":
        delay_ms = chance.randrange(30_000, declared.lateness_s * 800, 1_000)
    plans = {}
    for rule in rules:
        breaches = {"well": 0, "late": 1}.get(subject, 2)
        plan = list(_plan(rule, len(times), period_ms, breaches, chance))
        fields_used = {condition.field for condition in rule.when}
        if "calls" not in fields_used and rule.absent != "clear":
            plan = ["good" if kind == "none" else kind for kind in plan]
        # Of two conditions on one field the first decides.
        for condition in reversed(rule.when):
            plans[condition.field] = (condition, plan)
    missing = (
        set() if subject in ("well", "late") else _gaps(rules[0], len(times), chance)
    )
    columns = {
        name: _column(condition, plan, table[0])
        for name, (condition, plan) in plans.items()
    }
    # A mean needs how many things each of its values is of.
    weights = {declared.field(name).weight for name in plans} - {"", *plans}
    for row, time_ms in enumerate(times):
        if row in missing:
            continue
        fields = {name: column[row] for name, column in columns.items()}
        present = {name: value for name, value in fields.items() if value is not None}
        present |= dict.fromkeys(weights, 100)
        sample = Sample(table[0], tags_of(table, subject), present, time_ms)
        yield Arrival(sample, time_ms + delay_ms)


def _column(
    condition: Condition, plan: Sequence[str], measurement: str
) -> list[Value | None]:
    if condition.aggregate == "rise":
        return list(itertools.accumulate(int(kind == "bad") * 7 for kind in plan))
    return [value_of(condition, kind, measurement) for kind in plan]


def _plan(
    rule: Rule, length: int, period_ms: int, breaches: int, chance: random.Random
) -> Iterator[str]:
    """A kind of value for each row: at most two breaches, so that the engine does not
    take it for flapping."""
    looks_back_ms = max((c.over for c in rule.when if c.aggregate != "min"), default=0)
    waits = -(-(rule.page_after_ms + looks_back_ms) // period_ms)
    keeps = -(-rule.keep_for // period_ms)
    plan = ["good"] * chance.randint(1, 4)
    for condition in rule.when:
        if condition.aggregate == "min":
            plan += ["good"] * (condition.over // 2 // period_ms)
            plan += ["bad"] * (breaches and waits + 2)
    for _ in range(breaches):
        if breaches == 1:
            plan += ["bad"] * (waits + 4)
            break
        plan += [chance.choice(["bad", "edge"])] * chance.choice([0, 0, 1])
        plan += ["bad"] * chance.choice([1, waits, waits + 1, waits + 4])
        plan += ["mid"] * chance.choice([0, 1, 3])
        plan += ["bad"] * chance.choice([0, 1])
        plan += ["clear-edge"] * chance.choice([0, 1])
        plan += ["none"] * chance.choice([0, 0, keeps + 3])
        plan += ["good"] * chance.choice([1, keeps, keeps + 2])
    plan += ["good"] * length
    yield from plan[:length]


def _gaps(rule: Rule, length: int, chance: random.Random) -> set[int]:
    """Rows that are missing: one or two, and once more than two reaches."""
    period_ms = CATALOGUE.measurement(rule.measurement).period_s * 1000
    long = 2 * reach_ms(rule, CATALOGUE) // period_ms + 3
    missing: set[int] = set()
    for rows in (1, 2, chance.choice([1, long])):
        start = chance.randrange(2, length)
        missing |= set(range(start, start + rows))
    return missing


def value_of(condition: Condition, kind: str, measurement: str) -> Value | None:
    """A value of that kind. `mid`: a firing rule keeps firing, another does not start.
    `edge`, `clear-edge`: exactly the threshold, and that of recovery. `none`: nobody
    makes calls, so there is a count of 0, and no share."""
    limit, clear = condition.threshold, condition.clear
    if condition.missing is not None and kind in ("edge", "clear-edge"):
        return None
    if condition.comparison == "==" and kind != "none":
        return int(limit) - int(kind in ("good", "clear-edge"))
    end = limit if clear is None else clear
    up = condition.comparison in (">", ">=")
    declared = CATALOGUE.measurement(measurement).field(condition.field)
    is_whole = declared.type == "int"
    if kind == "none":
        return 0 if condition.field == "calls" else None
    value = {
        "bad": limit * 1.5 + 1 if up else limit - abs(limit) / 2,
        "mid": (limit + end) / 2,
        "edge": limit,
        "clear-edge": end,
        "good": end / 2 if up else end + abs(end) / 2 + 1,
    }[kind]
    if not is_whole:
        is_share = declared.unit == "ratio" and limit < 1
        return min(float(value), 1.0) if is_share else float(value)
    whole = int(value)
    if kind == "good" and condition.holds(whole, True):
        whole += -1 if up else 1
    return whole
