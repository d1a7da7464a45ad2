"""Recordings of devices, made by hand from their MIBs, and what a poll makes of them.

`NAME.snmprec` is what the device answers, `NAME.json` what Towpath reads of it. Made
afresh, and to be read before it is believed, by
`.venv/bin/python tests/recordings.py NAME …`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from agents import Recorded

from collectors.snmp import credential
from collectors.snmp.polling.device_facts import DeviceFacts, facts_json, poll_once
from collectors.snmp.session.session import RetryPolicy

FOLDER = Path(__file__).parent / "data" / "recordings"
FILES = sorted(FOLDER.glob("*.snmprec"))
# What has tests of its own, or differs from run to run.
_LEFT_OUT = {"name", "target", "ok", "error", "duration_ms", "packets", "ports"}


async def polled(file: Path) -> DeviceFacts:
    held = credential("test", {"community": "public"})
    async with Recorded(file) as device:
        return await poll_once(
            "127.0.0.1",
            device.port_number,
            held,
            name=file.stem,
            retry_policy=RetryPolicy((1.0, 2.0)),
        )


def shown(facts: DeviceFacts) -> dict[str, Any]:
    """What is compared: sections that are not empty."""
    found = json.loads(json.dumps(facts_json(facts)))
    return {k: v for k, v in found.items() if v and k not in _LEFT_OUT}


def written(found: dict[str, Any]) -> str:
    """One reading a line, so that a difference is one line."""
    parts = []
    for key, value in found.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n".join(f"  {json.dumps(r, ensure_ascii=False)}" for r in value)
            parts.append(f"{json.dumps(key)}: [\n{rows}\n]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        text = written(shown(asyncio.run(polled(FOLDER / f"{name}.snmprec"))))
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
        print(text, end="")
