"""Every state that a shipped profile may show."""

from __future__ import annotations

import re
from collections.abc import Iterator

from collectors.snmp.profiles.profile_loader import load


def shipped_states() -> Iterator[tuple[str, str, str, str]]:
    """(file, sensor, meaning, severity) of each state; names and indexes are 1."""
    for profile in load():
        body = profile.body
        for table in body.tables.values():
            for sensor in table.sensors:
                states = sensor.states or {}
                if isinstance(states, str):
                    states = body.states.get(states, {})  # "words" are the device's
                for descr in sensor.descr:
                    named = re.sub(r"\{\w+\}", "1", descr)
                    for meaning, severity in states.values():
                        yield profile.file.name, named, meaning, severity
