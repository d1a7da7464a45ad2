"""Run inside a network namespace: one of the agent's answers there, as JSON.

`vpn POLICY [again]`, `place BEACON CA FOLDER`, `interfaces`, `web POLICY`; or, at
the other end and until its standard input ends, `beacon FOLDER [seen]`: the hall's, and
`portal FOLDER`: a hotel's sign-in page.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import sys
from pathlib import Path

import msgspec


async def main(what: str, *given: str) -> object:
    from probes import platforms
    from probes.agent.place import KnownPlaces, Locator
    from probes.measure.vpn import Vpn
    from probes.platforms.system_facts import ProxySetting
    from probes.wire.policy import decode

    if what == "vpn":
        # Half an hour between two results.
        halves = itertools.count()
        vpn = Vpn(managed=list, clock_s=lambda: 1_800.0 * next(halves))
        policy = decode(given[0].encode())
        return [await vpn.measure(policy, now_ms=lambda: 5) for _ in given]
    if what == "web":
        from probes.measure.web_round import web_round

        found = web_round(
            decode(given[0].encode()),
            ssl.create_default_context,
            "s",
            lambda: 5,
            lambda: ProxySetting("none"),
        )
        return [result async for result in found]
    if what == "place":
        places = KnownPlaces(Path(given[2]), b"key")
        return await Locator(places, given[1], managed=list).where(given[0])
    return platforms.interfaces()


async def beacon(folder: str, seen: str) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(Path(folder, "server.pem"), Path(folder, "server.key"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            says = {"site": "hall"}
            if seen:
                says["seen"] = writer.get_extra_info("peername")[0]
            body = msgspec.json.encode(says)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
            await reader.read(1)
        writer.transport.abort()

    server = await asyncio.start_server(serve, None, 8443, ssl=tls)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.close()


async def portal(folder: str) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(Path(folder, "server.pem"), Path(folder, "server.key"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"HTTP/1.1 302 Sign in\r\nLocation: https://login.hotel/\r\n\r\n"
            )
            await writer.drain()
            await reader.read(1)
        writer.transport.abort()

    plain = await asyncio.start_server(serve, None, 80)
    secure = await asyncio.start_server(serve, None, 443, ssl=tls)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    plain.close()
    secure.close()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    if sys.argv[1] == "beacon":
        asyncio.run(beacon(*sys.argv[2:]))
        sys.exit()
    if sys.argv[1] == "portal":
        asyncio.run(portal(sys.argv[2]))
        sys.exit()
    found = asyncio.run(main(*sys.argv[1:]))
    sys.stdout.write(msgspec.json.encode(found).decode())
