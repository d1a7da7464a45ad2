"""The rows of the council of `towpath demo`: runs it, and reads its journal."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from collectors.journal import JournalReader
from probes.wire.sample import Sample

# The demo's own story takes about a minute.
_FOR = "100s"


def demo_rows() -> list[Sample]:
    """All rows of a demo of some minutes, those of single laptops too."""
    with tempfile.TemporaryDirectory() as folder:
        code = "from towpath.cli import main; main()"
        command = [sys.executable, "-c", code, "demo", "--for", _FOR, "--keep", folder]
        subprocess.run(command, stdout=subprocess.DEVNULL, timeout=900, check=False)
        return asyncio.run(_rows(Path(folder) / "state" / "journal"))


async def _rows(folder: Path) -> list[Sample]:
    rows: list[Sample] = []
    async with JournalReader(folder, "boards") as reader:
        while chunk := await reader.read(wait_s=0.5):
            for batch in chunk.batches:
                rows += batch.samples()
    return rows
