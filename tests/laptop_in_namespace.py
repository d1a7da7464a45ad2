"""Run inside a network namespace: one of the agent's answers there, as JSON.

`vpn POLICY [again]`, `place BEACON CA FOLDER`, or `interfaces`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec


async def main(what: str, *given: str) -> object:
    from probes import platforms
    from probes.place import Locator, Places
    from probes.policy import decode
    from probes.vpn import Vpn

    if what == "vpn":
        vpn = Vpn(managed=list)
        policy = decode(given[0].encode())
        return [await vpn.measure(policy, now_ms=lambda: 5) for _ in given]
    if what == "place":
        places = Places(Path(given[2]), b"key")
        return await Locator(places, given[1], managed=list).where(given[0])
    return platforms.interfaces()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    found = asyncio.run(main(*sys.argv[1:]))
    sys.stdout.write(msgspec.json.encode(found).decode())
