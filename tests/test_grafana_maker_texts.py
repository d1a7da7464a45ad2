"""Boards have names for keys that the profiles of devices have."""

from __future__ import annotations

import re
from pathlib import Path

import collectors.snmp.profiles
from collectors.snmp.tables.vendors import VENDORS
from dashboards.grafana.boards.maker_texts import MAKER_TEXTS, SYSTEM_TEXTS

CATALOG = Path(collectors.snmp.profiles.__file__).parent / "catalog"


def test_each_name_is_for_a_key_that_a_device_may_have() -> None:
    text = "\n".join(path.read_text() for path in CATALOG.glob("*.yaml"))
    facts = r"(?:os|vendor|text|means): ['\"]?([a-z0-9 -]*[a-z0-9])"
    known = {*re.findall(facts, text), *VENDORS.values()}
    assert known >= {str(key) for key in (*SYSTEM_TEXTS, *MAKER_TEXTS)}
