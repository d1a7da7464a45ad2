"""Prometheus's own evaluation of rules: `promtool test rules` on given samples."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import services

STEP_S = 30
Labels = frozenset[tuple[str, str]]
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def check_rules(text: str, folder: Path) -> str:
    """What promtool says about the file."""
    (folder / "rules.yml").write_text(text, encoding="utf-8")
    command = [services.program("promtool"), "check", "rules", "rules.yml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr


@dataclass
class Alerts:
    """The alerts of one step: name → their labels."""

    firing: dict[str, set[Labels]] = field(default_factory=dict)
    pending: dict[str, set[Labels]] = field(default_factory=dict)


def alerts_at(
    rules: str, series: Mapping[str, Sequence[float | None]], folder: Path
) -> list[Alerts]:
    """The alerts at each step. `series`: name with labels → a value for each step;
    None: the scrape has none."""
    length = max(len(values) for values in series.values())
    (folder / "rules.yml").write_text(rules, encoding="utf-8")
    document: dict[str, Any] = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": f"{STEP_S}s",
        "tests": [
            {
                "interval": f"{STEP_S}s",
                "input_series": [
                    {"series": name, "values": _notation(values)}
                    for name, values in series.items()
                ],
                # Nothing is expected, so that promtool reports what there is.
                "promql_expr_test": [
                    {"expr": "ALERTS", "eval_time": f"{step * STEP_S}s"}
                    for step in range(length)
                ],
            }
        ],
    }
    (folder / "test.yml").write_text(json.dumps(document), encoding="utf-8")
    command = [services.program("promtool"), "test", "rules", "test.yml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    steps = [Alerts() for _ in range(length)]
    step = -1
    for line in (done.stdout + done.stderr).splitlines():
        if timed := re.fullmatch(r'\s*expr: "ALERTS", time: ([\dhms]+),\s*', line):
            step = _seconds(timed[1]) // STEP_S
        elif line.strip().startswith("got: {"):
            for text in re.findall(r"\{([^{}]*)\} 1E\+00", line):
                labels = dict(_LABEL.findall(text))
                alerts = getattr(steps[step], labels["alertstate"])
                found = alerts.setdefault(labels["alertname"], set())
                found.add(frozenset(labels.items()))
        elif line.strip() and not re.match(r"Unit Testing|\s+(FAILED|exp: nil)", line):
            raise AssertionError(line)
    return steps


def _notation(values: Sequence[float | None]) -> str:
    """A value that goes is marked stale, as after a scrape without it."""
    words = []
    before: float | None = None
    for value in values:
        if value is not None:
            words.append(repr(float(value)))
        else:
            words.append("_" if before is None else "stale")
        before = value
    return " ".join(words)


def _seconds(text: str) -> int:
    return sum(
        int(number) * {"h": 3600, "m": 60, "s": 1}[unit]
        for number, unit in re.findall(r"(\d+)([hms])", text)
    )
