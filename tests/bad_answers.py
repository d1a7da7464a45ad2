"""SNMP agents whose answers are damaged, lost, late or of a wrong type."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedSwitch


class Truncated(SimulatedSwitch):
    """Every answer is cut off in the middle."""

    def answer(self, data: bytes) -> list[bytes]:
        return [answer[: len(answer) // 2] for answer in super().answer(data)]


class Huge(SimulatedSwitch):
    """A description longer than the receiver's buffer."""

    def rebuild(self) -> None:
        self.description = "x" * 5000
        super().rebuild()

    def _get(self, request: snmp_messages.SnmpRequest) -> bytes:
        binds = [
            snmp_messages.bind(name, self._values[name]())
            for name in request.names
            if name in self._values
        ]
        return snmp_messages.response(request, b"".join(binds))


class Twice(SimulatedSwitch):
    """Every answer comes twice."""

    def answer(self, data: bytes) -> list[bytes]:
        return super().answer(data) * 2


class AnswersTheLastRequest(SimulatedSwitch):
    """Answers each request when the next arrives: always one late."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self._held: list[bytes] = []

    def answer(self, data: bytes) -> list[bytes]:
        due, self._held = self._held, super().answer(data)
        return due


class Lossy(SimulatedSwitch):
    """Loses every `nth` request."""

    nth = 4

    def answer(self, data: bytes) -> list[bytes]:
        answers = super().answer(data)
        return [] if self.requests % self.nth == 0 else answers


class Silent(SimulatedSwitch):
    """Receives requests and never answers; `received` counts them."""

    received = 0

    def answer(self, data: bytes) -> list[bytes]:
        self.received += 1
        return []


class Cached(SimulatedSwitch):
    """Reads its counters at most every `cache_s`, as net-snmp does."""

    cache_s = 1.0
    _read_s = 0.0
    _kept: dict[bytes, bytes]

    def _get(self, request: snmp_messages.SnmpRequest) -> bytes:
        now_s = time.monotonic()
        if now_s - self._read_s >= self.cache_s:
            self._read_s = now_s
            self._kept = {}
        return super()._get(request)

    def rebuild(self) -> None:
        super().rebuild()
        for port in self.ports:
            for column in (6, 10):
                name = snmp_messages.oid_content(
                    (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, column, port.index)
                )
                fresh = self._values[name]
                self._values[name] = lambda name=name, fresh=fresh: self._cached(  # type: ignore[misc]
                    name, fresh
                )

    def _cached(self, name: bytes, fresh: Callable[[], bytes]) -> bytes:
        return self._kept.setdefault(name, fresh())


class CounterAsText(SimulatedSwitch):
    """Sends its octet counters as text."""

    def rebuild(self) -> None:
        super().rebuild()
        for port in self.ports:
            for column in (6, 10):
                name = snmp_messages.oid_content(
                    (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, column, port.index)
                )
                self._values[name] = lambda: snmp_messages.octets("12345")


class Garbling(SimulatedSwitch):
    """Changes some octets of every answer; `seed` decides which."""

    seed = 0

    def answer(self, data: bytes) -> list[bytes]:
        random_numbers = random.Random(self.seed + self.requests)
        garbled = []
        for answer in super().answer(data):
            octets = bytearray(answer)
            for _ in range(random_numbers.randint(0, 4)):
                octets[random_numbers.randrange(len(octets))] = (
                    random_numbers.randrange(256)
                )
            garbled.append(bytes(octets[: random_numbers.randint(1, len(octets) * 2)]))
        return garbled


class Padded(SimulatedSwitch):
    """Pads texts with NULs, and has no ifDescr (FortiGate, D-Link)."""

    def rebuild(self) -> None:
        super().rebuild()
        for port in self.ports:
            descr = snmp_messages.oid_content(
                (1, 3, 6, 1, 2, 1, 2, 2, 1, 2, port.index)
            )
            self._values[descr] = lambda: snmp_messages.octets("")
            name = snmp_messages.oid_content(
                (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1, port.index)
            )
            padded = snmp_messages.octets(port.name.encode() + bytes(4))
            self._values[name] = lambda padded=padded: padded  # type: ignore[misc]
