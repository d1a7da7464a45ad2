"""How busy this laptop, its links and this process are, from Windows with ctypes:
psutil would take two megabytes of the agent's memory there.

`psutil_load.py` has the same functions.
"""

from __future__ import annotations

import ctypes
import sys
import time

from probes.platforms import iphlpapi
from probes.platforms.system_facts import (
    BatteryState,
    LinkCounters,
    LinkStatus,
    ProcessorTimes,
    ProcessUse,
)

_PROCESSOR_INFORMATION = 11
# Windows counts time in 100 ns since 1601.
_TICKS_PER_S = 10_000_000
_UNIX_EPOCH_S = 11_644_473_600
_NO_BATTERY, _UNKNOWN = 128, 255


class MemoryStatus(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("amounts", ctypes.c_uint64 * 7),
    )


class PowerStatus(ctypes.Structure):
    _fields_ = (
        ("line", ctypes.c_uint8),
        ("flag", ctypes.c_uint8),
        ("percent", ctypes.c_uint8),
        ("saver", ctypes.c_uint8),
        ("left_s", ctypes.c_uint32),
        ("full_s", ctypes.c_uint32),
    )


class ProcessorPower(ctypes.Structure):
    """PROCESSOR_POWER_INFORMATION, which no header has."""

    _fields_ = (
        ("number", ctypes.c_uint32),
        ("most_mhz", ctypes.c_uint32),
        ("mhz", ctypes.c_uint32),
        ("limit_mhz", ctypes.c_uint32),
        ("deepest_idle", ctypes.c_uint32),
        ("idle", ctypes.c_uint32),
    )


class ProcessMemory(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_uint32),
        ("faults", ctypes.c_uint32),
        ("largest", ctypes.c_size_t),
        ("resident", ctypes.c_size_t),
        ("rest", ctypes.c_size_t * 6),
    )


def to_battery(status: PowerStatus) -> BatteryState | None:
    """None if there is no battery, or its charge is not known. Pure."""
    if status.flag & _NO_BATTERY or status.percent == _UNKNOWN:
        return None
    plugged = None if status.line == _UNKNOWN else status.line == 1
    return BatteryState(status.percent, plugged)


def to_processor_times(idle: int, kernel: int, user: int) -> ProcessorTimes:
    """From the ticks of GetSystemTimes. Pure."""
    # What Windows calls the kernel's time has the idle time in it.
    total = kernel + user
    return ProcessorTimes((total - idle) / _TICKS_PER_S, total / _TICKS_PER_S)


def to_clock_ratio(power: ProcessorPower) -> float | None:
    """Pure."""
    mhz, most_mhz = int(power.mhz), int(power.most_mhz)
    return min(mhz / most_mhz, 1.0) if mhz and most_mhz else None


def link_status(name: str) -> LinkStatus | None:
    """Windows has the speed with its other facts of an interface, and no duplex."""
    return None


if sys.platform == "win32":
    from probes.platforms.system_library import system_library

    def processor_times() -> ProcessorTimes:
        idle, kernel, user = (ctypes.c_uint64() for _ in range(3))
        # Should Windows refuse, all stay 0: nothing is known then.
        system_library("kernel32.dll").GetSystemTimes(
            ctypes.byref(idle), ctypes.byref(kernel), ctypes.byref(user)
        )
        return to_processor_times(idle.value, kernel.value, user.value)

    def clock_ratio() -> float | None:
        """That of the first processor; None if not known."""
        try:
            api = system_library("powrprof.dll")
        except OSError:
            return None
        count = system_library("kernel32.dll").GetActiveProcessorCount(0xFFFF)
        powers = (ProcessorPower * max(count, 1))()
        error = api.CallNtPowerInformation(
            _PROCESSOR_INFORMATION, None, 0, powers, ctypes.sizeof(powers)
        )
        return None if error else to_clock_ratio(powers[0])

    def memory_ratio() -> float | None:
        """The share of memory that is in use; None if not known."""
        status = MemoryStatus(size=ctypes.sizeof(MemoryStatus))
        if not system_library("kernel32.dll").GlobalMemoryStatusEx(
            ctypes.byref(status)
        ):
            return None
        return float(status.load) / 100

    def boot_time_s() -> float:
        """When the system started, Unix time."""
        kernel = system_library("kernel32.dll")
        kernel.GetTickCount64.restype = ctypes.c_uint64
        return time.time() - float(kernel.GetTickCount64()) / 1000

    def battery() -> BatteryState | None:
        """None if there is no battery."""
        status = PowerStatus()
        known = system_library("kernel32.dll").GetSystemPowerStatus(
            ctypes.byref(status)
        )
        return to_battery(status) if known else None

    def link_counters() -> dict[str, LinkCounters]:
        """By the name of the interface."""
        try:
            return iphlpapi.link_counters()
        except OSError:
            return {}

    def process_use() -> ProcessUse:
        kernel = system_library("kernel32.dll")
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        own = ctypes.c_void_p(kernel.GetCurrentProcess())
        begun, ended, in_kernel, in_user = (ctypes.c_uint64() for _ in range(4))
        memory = ProcessMemory(size=ctypes.sizeof(ProcessMemory))
        done = kernel.GetProcessTimes(
            own, *map(ctypes.byref, (begun, ended, in_kernel, in_user))
        ) and kernel.K32GetProcessMemoryInfo(own, ctypes.byref(memory), memory.size)
        if not done:
            raise OSError("GetProcessTimes")
        return ProcessUse(
            cpu_s=(in_kernel.value + in_user.value) / _TICKS_PER_S,
            rss_bytes=memory.resident,
            started_s=begun.value / _TICKS_PER_S - _UNIX_EPOCH_S,
        )
