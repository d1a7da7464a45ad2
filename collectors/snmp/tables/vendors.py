"""IANA private enterprise numbers of vendors, from `vendors.yaml`."""

from __future__ import annotations

from pathlib import Path

import yaml

VENDORS: dict[int, str] = yaml.safe_load(
    Path(__file__).with_name("vendors.yaml").read_text(encoding="utf-8")
)
# Agents and systems that are built into devices of other vendors.
AGENT_VENDORS = {"net-snmp", "linux"}
