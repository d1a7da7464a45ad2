"""A small estate and its polls, for tests of the window that rules read."""

from __future__ import annotations

from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState, StateChanges
from alerts.rule_files import Rules, load_rules
from collectors.batch import Batch, batch_samples
from collectors.estate.estate_model import Estate
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample

START_MS = 1_777_888_800_000
RULES = load_rules(CATALOGUE)
ESTATE_INDEX = EstateIndex(
    Estate.model_validate(
        {
            "sites": [{"id": "hall", "name": "Town Hall"}],
            "devices": [
                {"id": "d1", "site": "hall", "address": "10.0.0.1"},
                {"id": "d2", "site": "hall", "address": "10.0.0.2", "parent": "d1"},
            ],
        }
    )
)


def rules_named(*ids: str) -> Rules:
    return Rules([rule for rule in RULES if rule.id in ids])


def device_poll(
    up: int, at_ms: int, received_ms: int | None = None, device: str = "d1"
) -> Batch:
    tags = {"device": device, "site": "hall", "role": "switch"}
    sample = Sample("device", tags, {"up": up}, at_ms)
    [batch] = batch_samples(
        [sample], "poll", at_ms if received_ms is None else received_ms
    )
    return batch


def apply_changes(states: dict[str, AlertState], changes: StateChanges) -> None:
    for key, entry in changes.items():
        if entry is None:
            states.pop(key, None)
        else:
            states[key] = entry
