"""What 100,000 series cost the alert engine: processor time of one minute's rows, and
the memory of the window. First all is well, then 1,500 of 2,000 devices are dark."""

from __future__ import annotations

import gc
import time
from typing import Any

from alerts.alert import Alert
from alerts.cycle import run_cycle
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.rule_files import load_rules
from alerts.window import Window
from collectors.batch import Batch, Schema
from collectors.estate.estate_model import Estate
from collectors.server_measurements import CATALOGUE
from collectors.store.memory_release import resident_bytes

_DEVICES, _PORTS = 2_000, 50
_MINUTE_MS = 60_000
_PORT = Schema(
    "interface",
    ("device", "site", "role", "port"),
    ("up", "admin", "expected_up", "in_error_ratio", "in_errors_per_s"),
)
_DEVICE = Schema("device", ("device", "site", "role"), ("up", "readable", "outcome"))


def run() -> dict[str, Any]:
    """Rows of 2,000 devices of 50 ports, all behind one core."""
    rules = load_rules(CATALOGUE)
    estate = Estate.model_validate(
        {
            "sites": [{"id": f"s{n}", "name": f"S{n}"} for n in range(200)],
            "devices": [
                {
                    "id": f"d{n}",
                    "site": f"s{n % 200}",
                    "address": f"10.{n // 250}.0.{n % 250 + 1}",
                    "parent": f"d{n % 200}" if n >= 200 else "d0" if n else None,
                }
                for n in range(_DEVICES)
            ],
        }
    )
    index = EstateIndex(estate)
    gc.collect()
    before_bytes = resident_bytes()
    now_ms = 1_777_852_800_000
    window = Window(rules, CATALOGUE, now_ms)
    states: dict[str, AlertState] = {}
    shown: dict[str, Alert] = {}
    figures: dict[str, Any] = {"series": 0}
    dead = {f"d{n}" for n in range(1_500)}
    for minute in range(12):
        now_ms += _MINUTE_MS
        silent = dead if minute >= 8 else set()
        batches = _minute(now_ms, silent)
        started_s = time.process_time()
        for batch in batches:
            window.append(batch)
        appended_s = time.process_time()
        result = run_cycle(
            window, index, rules, states, shown, [], lambda alert: [], now_ms
        )
        took_s = time.process_time() - appended_s
        states, shown = result.states, result.still_open(shown)
        window.clear_changed()
        if minute == 7:
            figures["append_s"] = round(appended_s - started_s, 2)
            figures["evaluate_s"] = round(took_s, 2)
            gc.collect()
            used = resident_bytes() - before_bytes
            figures["window_mb"] = round(used / 1e6)
        if minute == 11:
            figures["evaluate_1500_devices_dark_s"] = round(took_s, 2)
            started_s = time.process_time()
            run_cycle(window, index, rules, states, shown, [], lambda alert: [], now_ms)
            figures["second_without_rows_s"] = round(time.process_time() - started_s, 3)
    figures["series"] = len(window)
    print(", ".join(f"{name} {value}" for name, value in figures.items()))
    return figures


def _minute(now_ms: int, silent: set[str]) -> list[Batch]:
    ids = [f"d{n}" for n in range(_DEVICES)]
    sites = [f"s{n % 200}" for n in range(_DEVICES)]
    ups = [int(id not in silent) for id in ids]
    outcomes = ["ok" if up else "timeout" for up in ups]
    n = _DEVICES
    batches = [
        Batch(
            "cost",
            now_ms,
            _DEVICE,
            ([now_ms] * n, ids, sites, ["switch"] * n, ups, ups, outcomes),
        )
    ]
    ports = [f"Gi1/0/{port}" for port in range(_PORTS)]
    for id, site in zip(ids, sites, strict=True):
        if id not in silent:
            m = _PORTS
            columns = ([now_ms] * m, [id] * m, [site] * m, ["switch"] * m, ports)
            values = ([1] * m, [1] * m, [0] * m, [0.0] * m, [0.0] * m)
            batches.append(Batch("cost", now_ms, _PORT, (*columns, *values)))
    return batches
