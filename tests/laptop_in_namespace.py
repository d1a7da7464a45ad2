"""Runs part of the agent inside a network namespace and prints the result as JSON.

`vpn POLICY [again]`, `place BEACON CA FOLDER`, `interfaces` or `web POLICY`. At the
other end, until its standard input ends: `beacon FOLDER [seen]`, the beacon of the site
`hall`, or `portal FOLDER`, the sign-in page of a hotel.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import sys
from pathlib import Path

import msgspec


async def main(command: str, *arguments: str) -> object:
    from probes import platforms
    from probes.agent.place import KnownPlaces, Locator
    from probes.measure.vpn import Vpn
    from probes.platforms.system_facts import ProxySetting
    from probes.wire.policy import decode

    if command == "vpn":
        # Half an hour passes between two results.
        halves = itertools.count()
        vpn = Vpn(managed=list, clock_s=lambda: 1_800.0 * next(halves))
        policy = decode(arguments[0].encode())
        return [await vpn.measure(policy, now_ms=lambda: 5) for _ in arguments]
    if command == "web":
        from probes.measure.web_round import web_round

        results = web_round(
            decode(arguments[0].encode()),
            ssl.create_default_context,
            "s",
            lambda: 5,
            lambda: ProxySetting("none"),
        )
        return [result async for result in results]
    if command == "place":
        places = KnownPlaces(Path(arguments[2]), b"key")
        return await Locator(places, arguments[1], managed=list).where(arguments[0])
    return platforms.interfaces()


async def beacon(folder: str, seen: str) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(Path(folder, "server.pem"), Path(folder, "server.key"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            reply = {"site": "hall"}
            if seen:
                reply["seen"] = writer.get_extra_info("peername")[0]
            body = msgspec.json.encode(reply)
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
    result = asyncio.run(main(*sys.argv[1:]))
    sys.stdout.write(msgspec.json.encode(result).decode())
