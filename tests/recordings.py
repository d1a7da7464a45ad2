"""Recordings of devices, made by hand from their MIBs, and the expected results.

`NAME.snmprec` has the device's answers, `NAME.json` what Towpath reads from them. To
create the latter again, and then check it by eye:
`.venv/bin/python tests/recordings.py NAME …`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from recorded_agents import Recorded

from collectors.snmp import credential
from collectors.snmp.polling.device_facts import DeviceFacts, poll_once
from collectors.snmp.polling.facts_json import facts_json
from collectors.snmp.session.session import RetryPolicy

FOLDER = Path(__file__).parent / "data" / "recordings"
FILES = sorted(FOLDER.glob("*.snmprec"))
# Sections with their own tests, or that differ from run to run.
_LEFT_OUT = {"name", "target", "ok", "error", "duration_ms", "packets", "ports"}


async def polled(file: Path) -> DeviceFacts:
    public = credential("test", {"community": "public"})
    async with Recorded(file) as device:
        return await poll_once(
            "127.0.0.1",
            device.port_number,
            public,
            name=file.stem,
            retry_policy=RetryPolicy((1.0, 2.0)),
        )


def shown(facts: DeviceFacts) -> dict[str, Any]:
    """Return the sections to compare: those that are not empty."""
    sections = json.loads(json.dumps(facts_json(facts)))
    return {k: v for k, v in sections.items() if v and k not in _LEFT_OUT}


def to_json(sections: dict[str, Any]) -> str:
    """Return JSON with one reading on each line, so that a difference is one line."""
    parts = []
    for key, value in sections.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n".join(f"  {json.dumps(r, ensure_ascii=False)}" for r in value)
            parts.append(f"{json.dumps(key)}: [\n{rows}\n]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        text = to_json(shown(asyncio.run(polled(FOLDER / f"{name}.snmprec"))))
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
        print(text, end="")
