"""Two reflectors, and packets that seem to come from the other one. Run as root of a
network namespace of its own: `python reflector_loop.py PORT PORT`. Prints what each has
received and answered as JSON."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import subprocess
import sys

from collectors.reflector import ReflectorConfig, ReflectorService
from probes.wire import stamp

FORGED = 20
ONE, OTHER = "127.0.0.1", "127.0.0.2"


def forge(packet: bytes, source: tuple[str, int], to: tuple[str, int]) -> bytes:
    """`packet` as an IPv4 datagram with any sender; the kernel fills in the rest."""
    length = 8 + len(packet)
    udp = struct.pack("!HHHH", source[1], to[1], length, 0)
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(to[0])
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, 17, 0)
    return head + addresses + udp + packet


async def loop_of(one_port: int, other_port: int) -> dict[str, list[int]]:
    def config(address: str, port: int) -> ReflectorConfig:
        return ReflectorConfig(addresses=(address,), stamp_port=port, web_port=0)

    async with (
        ReflectorService(config(ONE, one_port)) as one,
        ReflectorService(config(OTHER, other_port)) as other,
    ):
        with socket.socket(
            socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW
        ) as forging:
            for number in range(FORGED):
                # Of every kind: STAMP's, with TLVs, and TWAMP Light's with padding.
                size = (44, 112, 172)[number % 3]
                packet = stamp.request(
                    number, 1 << 40, 7, tlvs=stamp.request_tlvs(size)
                )
                if number % 4 == 3:
                    packet = packet[:14] + b"padding" * 20
                to = (ONE, one_port)
                forging.sendto(forge(packet, (OTHER, other_port), to), (ONE, 0))
        async with asyncio.timeout(20):
            while one.stamp_stats.received < FORGED:  # noqa: ASYNC110 - a counter
                await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)
        return {
            name: [stats.received, stats.reflected, stats.looped]
            for name, stats in (("one", one.stamp_stats), ("other", other.stamp_stats))
        }


def main() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    print(json.dumps(asyncio.run(loop_of(int(sys.argv[1]), int(sys.argv[2])))))


if __name__ == "__main__":
    main()
