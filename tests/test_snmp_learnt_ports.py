"""A device's ports are known again after a restart of Towpath, in virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from polled_switches import QUICK, device, estate, polling
from test_snmp_slow_agents import (
    CONFIG,
    DEVICE,
    PORTS,
    PUBLIC,
    RETRY_POLICY,
    SlowSwitch,
    ports_of,
)
from virtual_time import MemorySession, run_virtually
from waiting import until

from collectors.snmp.polling.device_poll import DevicePoll, PollResult, PollSettings
from collectors.snmp.polling.device_state import DeviceState, DeviceStates
from collectors.snmp.polling.expected_ports import PortUses
from collectors.snmp.polling.learnt_hand_over import LearntHandOver
from probes.wire.failure import Outcome
from towpath.demo.simulated_switches import SimulatedPort, SimulatedSwitch


class Restarted:
    """A switch, and Towpath polling it; `restart_towpath` forgets all but the files."""

    def __init__(self, folder: Path, delay_s: float = 0.0, ports: int = PORTS) -> None:
        self.file = DeviceStates(folder / "snmp.json").ports_file(DEVICE.id)
        self.clock = asyncio.get_running_loop().time
        self.switch = SlowSwitch("slow", ports, monotonic_s=self.clock)
        self.switch.delay_s = delay_s
        self.state = DeviceState()
        self.restart_towpath()

    def restart_towpath(self) -> None:
        settings = PollSettings(
            CONFIG, lambda: int(self.clock() * 1000), monotonic_s=self.clock
        )
        self.poller = DevicePoll(
            settings,
            DEVICE,
            PortUses(),
            MemorySession(self.switch, PUBLIC, RETRY_POLICY),
            self.state,
            ports_file=self.file,
        )

    async def poll(self) -> PollResult:
        began_s = self.clock()
        result = await self.poller.poll(0.0, lambda: None)
        await asyncio.sleep(max(0.0, began_s + CONFIG.period_s - self.clock()))
        return result


def test_after_a_restart_of_towpath_a_slow_agent_has_all_its_ports_at_once(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        slow = Restarted(tmp_path, delay_s=1.7)
        polls = 0
        while not slow.poller.is_learnt:
            await slow.poll()
            polls += 1
        assert polls >= 2
        await asyncio.sleep(3600)
        slow.restart_towpath()
        assert len(ports_of((await slow.poll()).batches)) == PORTS
        second = await slow.poll()
        assert len(ports_of(second.batches, with_rates=True)) == PORTS

    run_virtually(main())


def test_after_a_restart_of_towpath_the_tables_are_not_walked_again(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        fast = Restarted(tmp_path)
        first = await fast.poll()
        fast.restart_towpath()
        again = await fast.poll()
        steady = await fast.poll()
        # One to recognise it, and a few for its neighbours.
        assert again.packets <= steady.packets + 5 <= first.packets / 2
        assert ports_of(again.batches) == ports_of(first.batches)

    run_virtually(main())


def rename(device: Restarted) -> None:
    for port in device.switch.ports:
        port.name = f"new-{port.name}"
    device.switch.rebuild()


def restart_device(device: Restarted) -> None:
    rename(device)
    device.switch.restart()


def add_port(device: Restarted) -> None:
    device.switch.ports.append(SimulatedPort(PORTS + 1, "new-Gi51"))
    device.switch.rebuild()


def damage(device: Restarted) -> None:
    assert device.file is not None
    rename(device)
    device.file.write_bytes(device.file.read_bytes()[:-20])


@pytest.mark.parametrize("change", [restart_device, add_port, rename, damage])
def test_what_changed_meanwhile_is_read_again(change: object, tmp_path: Path) -> None:
    async def main() -> None:
        fast = Restarted(tmp_path)
        first = await fast.poll()
        change(fast)  # type: ignore[operator]
        fast.restart_towpath()
        for _ in range(3):
            result = await fast.poll()
            assert result.outcome is Outcome.OK
        shown = ports_of(result.batches)
        assert shown == {port.name for port in fast.switch.ports}
        # That is what is kept from now on.
        fast.restart_towpath()
        again = await fast.poll()
        assert ports_of(again.batches) == shown
        assert again.packets <= first.packets / 2

    run_virtually(main())


def test_another_device_at_the_address_is_read_anew(tmp_path: Path) -> None:
    async def main() -> None:
        fast = Restarted(tmp_path)
        first = await fast.poll()
        fast.switch.object_id = "1.3.6.1.4.1.9.1.1208"
        fast.switch.rebuild()
        fast.restart_towpath()
        assert (await fast.poll()).packets >= first.packets - 1

    run_virtually(main())


def keep_ports(states: DeviceStates, device: str) -> Path:
    states.get(device)
    file = states.ports_file(device)
    assert file is not None
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"ports")
    return file


def test_the_file_of_a_removed_device_is_removed(tmp_path: Path) -> None:
    states = DeviceStates(tmp_path / "snmp.json")
    file = keep_ports(states, "a")
    states.remove("a")
    assert not file.exists()


async def test_what_left_the_estate_while_towpath_was_stopped_is_forgotten(
    tmp_path: Path,
) -> None:
    config = QUICK.model_copy(update={"state_file": tmp_path / "snmp.json"})
    states = DeviceStates(config.state_file)
    gone = keep_ports(states, "gone")
    states.save()
    # Of another poller with the same folder.
    other = keep_ports(states, "other")
    async with (
        SimulatedSwitch("a", 1) as switch,
        polling(estate(device("a", switch)), config) as (sink, _),
    ):
        await until(lambda: sink.rows("interface"), "a poll")
    assert not gone.exists()
    assert other.exists()
    assert (gone.parent / "a.bin").exists()
    assert b"gone" not in (tmp_path / "snmp.json").read_bytes()


def test_ports_kept_before_descriptions_were_switched_off_are_removed(
    tmp_path: Path,
) -> None:
    file = tmp_path / "snmp.json"
    kept = keep_ports(DeviceStates(file), "a")
    states = DeviceStates(file, keeps_ports=False)
    assert not kept.exists()
    assert states.ports_file("a") is None


class HeldUp:
    """A store for what was learnt that does not answer until it is released."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.published: set[str] = set()

    async def fetch(self, device: str) -> bytes | None:
        return None

    async def publish(self, device: str, body: bytes) -> bool:
        await self.released.wait()
        self.published.add(device)
        return True


async def test_what_a_stop_interrupts_is_handed_over_at_the_end() -> None:
    store = HeldUp()
    hand_over = LearntHandOver(DeviceStates(None), store)
    devices = {f"switch-{number}" for number in range(40)}
    for id in devices:
        hand_over.note(id)
    publishing = asyncio.create_task(hand_over.publish())
    await asyncio.sleep(0)
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    store.released.set()
    await hand_over.publish()
    assert store.published == devices
