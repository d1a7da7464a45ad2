"""Run inside a network namespace: polls the agent at 127.0.0.1 and prints its rows."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from collectors.batch import Batch
from collectors.estate import Device, Estate, Site
from collectors.snmp import Credentials, Poller, SnmpConfig, credential


class Printed:
    async def append(self, *batches: Batch) -> None:
        for batch in batches:
            for sample in batch.samples():
                print(msgspec.json.encode(sample).decode(), flush=True)


async def main(port: int) -> None:
    estate = Estate(
        sites=(Site(id="s", name="S"),),
        devices=(Device(id="real", site="s", address="127.0.0.1", port=port),),  # type: ignore[arg-type]
    )
    known = Credentials({"default": credential("default", {"community": "public"})})
    config = SnmpConfig(period_s=0.5, timeout_s=2.0)
    async with Poller(config, lambda: estate, known, Printed()):
        await asyncio.sleep(120)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
