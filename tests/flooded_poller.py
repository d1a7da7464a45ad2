"""Polls an agent that never stops, in a process of its own; prints by how many MB that
process grew. `python flooded_poller.py gufo|python rows|texts|long-texts BUDGET_S`"""

from __future__ import annotations

import asyncio
import resource
import sys

from bad_walks import EndlessWalk

from collectors.estate import Device
from collectors.snmp import SnmpConfig, credential
from collectors.snmp.polling.device_health import HealthReader
from collectors.snmp.polling.device_poll import DevicePoll, PollSettings
from collectors.snmp.polling.device_state import DeviceState
from collectors.snmp.polling.expected_ports import PortUses
from collectors.snmp.polling.reading_slots import ReadingSlots
from collectors.snmp.profiles import load
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import Sessions
from probes.wire.clock import wall_ms
from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedSwitch

_POLLS = 2


class EndlessTexts(EndlessWalk):
    """Has every possible row; each is a text of `octets` octets."""

    octets = 3_900

    def reply(self, request: snmp_messages.SnmpRequest) -> bytes | None:
        text = snmp_messages.octets(b"x" * self.octets)
        name = snmp_messages.arcs_of(request.names[0])
        if request.kind != snmp_messages.GET:
            name = (*name[:-1], name[-1] + 1) if len(name) > 10 else (*name, 1)
        elif self._values.get(request.names[0]) is not None:
            # What every device has, and sysUpTime above all, is as it should be.
            return SimulatedSwitch.reply(self, request)
        return snmp_messages.response(
            request, snmp_messages.bind(snmp_messages.oid_content(name), text)
        )


class EndlessLongTexts(EndlessTexts):
    """As long as a datagram can be."""

    octets = 60_000


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def _grown_mb(
    library: str, kind: type[SimulatedSwitch], budget_s: float
) -> float:
    held = credential("test", {"community": "public"})
    config = SnmpConfig(timeout_s=0.5, tries=2, budget_s=budget_s)
    profiles = load()
    async with kind("flood", 3) as switch, Sessions(library == "gufo") as sessions:
        where = "127.0.0.1", switch.port_number
        session = sessions.open(*where, held, RetryPolicy((0.5, 1.0)))
        device = Device(id="a", site="s", address=where[0], port=where[1])  # type: ignore[arg-type]
        settings = PollSettings(config, wall_ms)
        health = HealthReader(profiles, ReadingSlots())
        poll = DevicePoll(settings, device, PortUses(), session, DeviceState(), health)
        before = _peak_mb()
        for _ in range(_POLLS):
            await poll.poll(0.0, lambda: None)
        poll.close()
        return _peak_mb() - before


if __name__ == "__main__":
    kinds = {
        "rows": EndlessWalk,
        "texts": EndlessTexts,
        "long-texts": EndlessLongTexts,
    }
    library, kind, budget_s = sys.argv[1:]
    print(asyncio.run(_grown_mb(library, kinds[kind], float(budget_s))))
