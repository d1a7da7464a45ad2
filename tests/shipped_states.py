"""Every state that a shipped profile may show."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from collectors.snmp.profiles.profile_loader import shipped_files
from collectors.yaml_file import Loader


def shipped_states() -> Iterator[tuple[str, str, str, str]]:
    """(file, sensor, meaning, severity) of each state; names and indexes are 1."""
    for file in shipped_files():
        text = file.read_text(encoding="utf-8")
        for document in yaml.load_all(text, Loader):
            known = (document or {}).get("states") or {}
            for table in ((document or {}).get("tables") or {}).values():
                for sensor in (table or {}).get("sensors", ()):
                    states = sensor.get("states")
                    if isinstance(states, str):
                        states = known.get(states)
                    descrs = sensor.get("descr", "")
                    descrs = [descrs] if isinstance(descrs, str) else descrs
                    for descr in descrs:
                        named = re.sub(r"\{\w+\}", "1", descr)
                        for meaning, severity, *_ in (states or {}).values():
                            yield file.name, named, str(meaning), severity
