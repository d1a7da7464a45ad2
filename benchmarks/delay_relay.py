"""A UDP relay that delays packets, with a separate delay for each direction, and
reports the actual delays at the end: the reference for the probes' results.

    python -m benchmarks.delay_relay PORT TO_HOST TO_PORT OUT_MS IN_MS SPREAD_MS
"""

from __future__ import annotations

import heapq
import json
import random
import select
import socket
import sys
import threading
import time

# A shorter sleep may not end in time.
_SPIN_S = 0.0005


def relay(
    port: int, to: tuple[str, int], out_ms: float, in_ms: float, spread_ms: float
) -> str:
    """Relays until standard input ends. Returns JSON with the time that each packet
    arrived and left, in ms, for both directions, in order of departure."""
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    near.bind(("0.0.0.0", port))
    far.connect(to)
    print("ready", flush=True)
    caller: object = None
    waiting: list[tuple[float, int, int, float, bytes]] = []
    ways: tuple[list[tuple[float, float]], ...] = ([], [])
    number = 0
    while not over.is_set():
        left_s = waiting[0][0] - time.perf_counter() if waiting else 0.05
        ready, _, _ = select.select([near, far], [], [], max(0.0, left_s - _SPIN_S))
        for channel in ready:
            came_s = time.perf_counter()
            way = 0 if channel is near else 1
            if way == 0:
                packet, caller = near.recvfrom(2048)
            else:
                try:
                    packet = far.recv(2048)
                except ConnectionRefusedError:
                    continue
            hold_ms = (out_ms, in_ms)[way] + random.uniform(0, spread_ms)
            number += 1
            due_s = came_s + hold_ms / 1e3
            heapq.heappush(waiting, (due_s, number, way, came_s, packet))
        while waiting and waiting[0][0] <= time.perf_counter():
            _due_s, _number, way, came_s, packet = heapq.heappop(waiting)
            if way == 0:
                far.send(packet)
            else:
                near.sendto(packet, caller)  # type: ignore[arg-type] # the last sender
            ways[way].append((came_s * 1e3, time.perf_counter() * 1e3))
    return json.dumps({"out": ways[0], "in": ways[1]})


if __name__ == "__main__":
    port, host, to_port, *times = sys.argv[1:]
    print(relay(int(port), (host, int(to_port)), *map(float, times)), flush=True)
