"""What Towpath measures of the council, ten seconds at a time, as batches.

Rows follow from what is broken: a device that no cable reaches does not answer, and
then nothing is known of its ports, sensors and lines. Single polls are lost, late or
not made, clocks of pollers differ, figures vary, laptops work in business hours.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Sequence

from benchmarks.incident_council import HUB, Cable, Circuit, Council
from benchmarks.incident_faults import Effect, Fault
from benchmarks.incident_laptop_rows import LaptopRows
from collectors.batch import Batch, batch_samples
from collectors.topology.neighbour_records import (
    DeviceNeighbour,
    LocalSystem,
    to_batches,
)
from probes.wire.sample import Sample, Value

STEP_MS = 10_000
_MINUTE_MS = 60_000
_STEPS = _MINUTE_MS // STEP_MS
_SENSOR_MINUTES = 5
_LOST_POLL, _MISSING_POLL, _LATE_POLL = 1 / 8_000, 1 / 8_000, 1 / 200
# Sites are polled by pollers whose clocks are this far apart.
_CLOCKS_APART_MS = 4_000
_SWITCH_SENSORS = (
    ("temperature", "inlet"),
    ("state", "Power Supply 1"),
    ("state", "Power Supply 2"),
    ("state", "Fan 1"),
    ("state", "PoE group 1"),
)
_UPS_SENSORS = (("charge", "battery charge"), ("runtime", "runtime left"))


class World:
    """The council and its faults in virtual time."""

    def __init__(
        self, council: Council, faults: Sequence[Fault], seed: int, start_ms: int
    ) -> None:
        self._council, self._faults = council, faults
        self._dice = random.Random(seed)
        self._start_ms = start_ms
        self._active: list[Effect] = []
        self._sent: set[tuple[int, int]] = set()
        self.reachable: set[str] = set(council.devices)
        self._alive: set[str] = set(council.devices)
        self._cut_cables: set[Cable] = set()
        self._circuits: set[str] = set()
        self._deaf: set[str] = set()
        self._shut: set[tuple[str, str]] = set()
        self._gone: set[str] = set()
        self._unreadable: set[str] = set()
        self._readings: dict[tuple[str, ...], dict[str, Value]] = {}
        self._slots: list[list[str]] = [[] for _ in range(_STEPS)]
        for device in council.devices:
            self._slots[self._dice.randrange(_STEPS)].append(device)
        self._laptops = LaptopRows(council, self._dice)
        self._cables: dict[str, list[Cable]] = {d: [] for d in council.devices}
        for cable in council.cables:
            for device in {cable.a, cable.b}:
                self._cables[device].append(cable)
        self._near: dict[str, list[Circuit]] = {}
        self._measured: dict[str, list[Circuit]] = {}
        for line in council.circuits:
            self._near.setdefault(line.near, []).append(line)
            measured_by = line.far if line.measured_far else line.near
            self._measured.setdefault(measured_by, []).append(line)
        self._traps_of = [
            (n, m, fault, effect)
            for n, fault in enumerate(faults)
            for m, effect in enumerate(fault.effects)
            if effect.what == "event"
        ]
        self._odd = self._so_from_the_start()
        self._watched: set[str] = set()
        self._were_dead: set[str] = set()
        self._late: list[tuple[int, list[Sample]]] = []
        self._clock_ms = {
            site: self._dice.randint(-_CLOCKS_APART_MS, 0) for site in council.sites
        }

    def _so_from_the_start(self) -> dict[tuple[str, ...], dict[str, Value]]:
        """What looks like a fault and was so when Towpath first saw it."""
        odd: dict[tuple[str, ...], dict[str, Value]] = {}
        for device, (_, role) in self._council.devices.items():
            if role == "router" and self._dice.random() < 0.1:
                odd["interface", device, "wan9"] = {"up": 0, "oper": 2}
            if role == "switch" and self._dice.random() < 0.05:
                key = ("sensor", device, "state", "Power Supply 2")
                odd[key] = {"severity": 2, "state": "notPresent"}
        return odd

    def batches(self, now_ms: int) -> list[Batch]:
        """Everything that is measured in the step that ends at `now_ms`."""
        self._update(now_ms)
        step = (now_ms - self._start_ms) // STEP_MS
        minute = step // _STEPS
        samples = list(self._traps(now_ms))
        for device in self._slots[step % _STEPS]:
            chance = self._dice.random()
            if chance >= _MISSING_POLL:
                clock_ms = self._clock_ms[self._council.devices[device][0]]
                polled = list(self._poll(device, now_ms + clock_ms, minute))
                if chance < _LATE_POLL:
                    due_ms = now_ms + self._dice.randint(1, 3) * STEP_MS
                    self._late.append((due_ms, polled))
                else:
                    samples += polled
        for late in [late for late in self._late if late[0] <= now_ms]:
            self._late.remove(late)
            samples += late[1]
        if step % _STEPS == 3:
            samples += self._gateways(now_ms)
            samples += self._self_rows(now_ms)
            if minute % 5 == 0:
                samples += self._laptops.rows(now_ms, self.reachable, self._readings)
        return batch_samples(samples, "incidents", now_ms)

    def neighbours(self, now_ms: int) -> Iterator[Batch]:
        """What LLDP reports, of every device that answers."""
        for device, (site, role) in self._council.devices.items():
            if device in self.reachable:
                heard = [
                    DeviceNeighbour(
                        device,
                        cable.port_at(device),
                        remote_name=cable.far(device),
                        remote_port=cable.port_at(cable.far(device)),
                        protocol="lldp",
                    )
                    for cable in self._cables[device]
                    if cable.heard and self._is_joined(cable)
                ]
                system = LocalSystem(device, device, "")
                yield from to_batches(
                    (device, site, role), system, heard, now_ms, "incidents"
                )

    def _update(self, now_ms: int) -> None:
        active = [
            effect
            for fault in self._faults
            if fault.begin_ms <= now_ms < fault.end_ms
            for effect in fault.effects
            if effect.from_ms <= now_ms - fault.begin_ms < effect.to_ms
        ]
        if active == self._active:
            return
        self._active = active
        keys = {what: {e.key for e in active if e.what == what} for what in _WHATS}
        self._alive = {
            device
            for device, (site, _) in self._council.devices.items()
            if device not in keys["dead"] and site not in keys["mains"]
        }
        self._were_dead |= set(self._council.devices) - self._alive
        self._shut, self._gone = keys["shut"], keys["gateway"]
        self._unreadable = keys["unreadable"]
        self._cut_cables, self._circuits = keys["cable"], keys["circuit"]
        self._deaf = keys["deaf"]
        self._readings = {}
        for effect in active:
            if effect.what == "reading":
                self._readings.setdefault(effect.key, {}).update(effect.fields)
        self.reachable = set() if keys["monitor"] else self._reach()

    def _is_joined(self, cable: Cable) -> bool:
        ends = {(cable.a, cable.a_port), (cable.b, cable.b_port)}
        return (
            {cable.a, cable.b} <= self._alive
            and cable not in self._cut_cables
            and not ends & self._shut
        )

    def _reach(self) -> set[str]:
        joined: dict[str, list[str]] = {}
        pairs = [(c.a, c.b) for c in self._council.cables if self._is_joined(c)]
        pairs += [
            (c.near, c.far)
            for c in self._council.circuits
            if c.far and c.id not in self._circuits | self._deaf
        ]
        for a, b in pairs:
            joined.setdefault(a, []).append(b)
            joined.setdefault(b, []).append(a)
        monitor = self._council.monitor
        reached = [monitor] if monitor in self._alive else []
        seen = set(reached)
        for device in reached:
            for other in joined.get(device, ()):
                if other in self._alive and other not in seen:
                    seen.add(other)
                    reached.append(other)
        return seen

    def _traps(self, now_ms: int) -> Iterator[Sample]:
        for n, m, fault, effect in self._traps_of:
            begin_ms = fault.begin_ms + effect.from_ms
            if begin_ms <= now_ms < fault.end_ms + 10 * _MINUTE_MS:
                yield from self._trap(fault, effect, (n, m), now_ms)

    def _trap(
        self, fault: Fault, effect: Effect, number: tuple[int, int], now_ms: int
    ) -> Iterator[Sample]:
        event, device, port, about = effect.key
        first = number not in self._sent
        over = now_ms >= fault.end_ms
        ended = (number[0], -1 - number[1])
        if device not in self.reachable:
            return
        if (first and not over) or (over and not first and ended not in self._sent):
            self._sent.add(ended if over else number)
            tags = {**self._tags(device), "event": event, "port": port, "about": about}
            fields: dict[str, Value] = {**dict(effect.fields), "active": int(not over)}
            fields["count"] = 0 if over else fields.get("count", 1)
            fields["first_ms"] = fields["last_ms"] = now_ms
            yield Sample("event", tags, fields, now_ms)

    def _tags(self, device: str) -> dict[str, str]:
        site, role = self._council.devices[device]
        return {"device": device, "site": site, "role": role}

    def _poll(self, device: str, now_ms: int, minute: int) -> Iterator[Sample]:
        tags = self._tags(device)
        up = device in self.reachable and self._dice.random() >= _LOST_POLL
        readable = up and device not in self._unreadable
        fields: dict[str, Value] = {
            "up": int(up),
            "readable": int(readable),
            "outcome": "ok" if readable else "auth_failed" if up else "timeout",
        }
        if self.reachable:
            fields["answered"] = int(up)
        if not up:
            del fields["readable"]
        else:
            fields |= self._readings.get(("device", device), {})
        yield Sample("device", tags, fields, now_ms)
        if not readable:
            return
        yield from self._ports(device, tags, now_ms)
        yield from self._lines(device, now_ms)
        if minute % 60 == hash_of(device) % 60 or device in self._were_dead:
            self._were_dead.discard(device)
            yield self._inventory(device, tags, now_ms)
        regular = minute % _SENSOR_MINUTES == hash_of(device) % _SENSOR_MINUTES
        if regular or device in self._watched:
            sensors = list(self._sensors(device, tags, now_ms))
            yield from sensors
            # What is bad is read with every poll until it is well.
            self._watched.discard(device)
            if any(s.fields["severity"] or s.fields.get("on_battery") for s in sensors):
                self._watched.add(device)

    def _inventory(self, device: str, tags: dict[str, str], now_ms: int) -> Sample:
        fields: dict[str, Value] = {"vendor": "Maker", "serial": f"SN-{device}"}
        fields |= self._readings.get(("inventory", device), {})
        return Sample("inventory", tags, fields, now_ms)

    def _ports(
        self, device: str, tags: dict[str, str], now_ms: int
    ) -> Iterator[Sample]:
        for cable in self._cables[device]:
            port = cable.port_at(device)
            up = self._is_joined(cable)
            shut = (device, port) in self._shut
            yield self._port(tags, port, up, shut, now_ms, cable.heard)
        for circuit in self._near.get(device, ()):
            up = circuit.id not in self._circuits
            yield self._port(tags, circuit.near_port, up, False, now_ms)
        if ("interface", device, "wan9") in self._odd:
            yield self._port(tags, "wan9", False, False, now_ms)

    def _port(
        self,
        tags: dict[str, str],
        port: str,
        up: bool,
        shut: bool,
        now_ms: int,
        expected: bool = True,
    ) -> Sample:
        fields: dict[str, Value] = {
            "admin": 2 if shut else 1,
            "oper": 1 if up else 2,
            "expected_up": int(expected),
            "expected_why": "neighbour" if expected else "",
            "in_error_ratio": 0.0,
            "in_errors_per_s": 0.0,
        }
        if not shut:
            fields["up"] = int(up)
        fields |= self._readings.get(("interface", tags["device"], port), {})
        return Sample("interface", {**tags, "port": port}, fields, now_ms)

    def _lines(self, device: str, now_ms: int) -> Iterator[Sample]:
        for line in self._measured.get(device, ()):
            up = line.id not in self._circuits
            primary = f"{line.site}-wan"
            carries = line.role == "primary" or primary in self._circuits
            fields: dict[str, Value] = {"up": int(up), "carrying": int(up and carries)}
            if up:
                fields["down_use_ratio"] = self._dice.uniform(0.05, 0.6)
                fields["up_use_ratio"] = self._dice.uniform(0.02, 0.3)
                fields |= self._readings.get(("line", line.id), {})
            tags = {
                "line": line.id,
                "site": line.site,
                "role": line.role,
                "supplier": line.supplier,
            }
            yield Sample("line", tags, fields, now_ms)

    def _sensors(
        self, device: str, tags: dict[str, str], now_ms: int
    ) -> Iterator[Sample]:
        role = tags["role"]
        shared = self._readings.get(("sensor", device), {})
        for class_, sensor in _SENSORS.get(role, ()):
            fields: dict[str, Value] = {"severity": 0}
            if class_ == "temperature":
                fields["value"] = self._dice.uniform(30, 45)
            if role == "ups":
                fields |= {"on_battery": 0, "value": 95.0}
            key = ("sensor", device, class_, sensor)
            fields |= {
                **shared,
                **self._odd.get(key, {}),
                **self._readings.get(key, {}),
            }
            yield Sample(
                "sensor", {**tags, "class": class_, "sensor": sensor}, fields, now_ms
            )

    def _gateways(self, now_ms: int) -> Iterator[Sample]:
        for gateway, device in self._council.gateways.items():
            up = gateway not in self._gone and device in self.reachable
            fields: dict[str, Value] = {
                "up": int(up),
                "outcome": "ok" if up else "timeout",
            }
            if up:
                fields["certificate_days"] = 200.0
                fields |= self._readings.get(("vpn_gateway", gateway), {})
            yield Sample(
                "vpn_gateway", {"gateway": gateway, "site": HUB}, fields, now_ms
            )

    def _self_rows(self, now_ms: int) -> Iterator[Sample]:
        process = {"process": "all"}
        answered = len(self.reachable)
        polls: dict[str, Value] = {
            "late_p99_ms": 20.0,
            "skipped": 0,
            "done": len(self._council.devices),
            "failed": len(self._council.devices) - answered,
            "cut_off": int(not answered),
        }
        yield Sample("self_poll", process, polls, now_ms)
        yield Sample(
            "self_journal", process, {"dropped_bytes": 0, "dead_rows": 0}, now_ms
        )
        yield Sample("self_traps", process, {"listening": 1, "lost": 0}, now_ms)
        reader = {**process, "reader": "store"}
        yield Sample("self_reader", reader, {"lag_s": 1.0, "aside_rows": 0}, now_ms)
        yield Sample(
            "self_notify", {**process, "channel": "duty"}, {"overdue": 0}, now_ms
        )
        disk: dict[str, Value] = {"full": 0}
        disk |= self._readings.get(("self_disk", "all"), {})
        yield Sample("self_disk", {**process, "folder": "state"}, disk, now_ms)


_WHATS = (
    "dead",
    "mains",
    "cable",
    "circuit",
    "deaf",
    "shut",
    "gateway",
    "unreadable",
    "monitor",
)
_SENSORS = {"switch": _SWITCH_SENSORS, "ups": _UPS_SENSORS}


@functools.cache
def hash_of(text: str) -> int:
    """The same in every run, unlike `hash`."""
    return sum(map(ord, text))
