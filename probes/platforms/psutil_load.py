"""How busy this laptop, its links and this process are, from psutil: Linux and macOS.

`windows_load.py` has the same functions.
"""

from __future__ import annotations

from probes.platforms.system_facts import (
    BatteryState,
    LinkCounters,
    LinkStatus,
    ProcessorTimes,
    ProcessUse,
)


def processor_times() -> ProcessorTimes:
    import psutil

    times = psutil.cpu_times()
    # The time of guests is already part of the user time.
    total_s = (
        sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    )
    busy_s = total_s - times.idle - getattr(times, "iowait", 0.0)
    return ProcessorTimes(busy_s, total_s)


def clock_ratio() -> float | None:
    """The processor's clock as a share of its maximum; None if not known."""
    import psutil

    try:
        frequency = getattr(psutil, "cpu_freq", lambda: None)()
    except (OSError, NotImplementedError, RuntimeError, ValueError):
        return None
    if frequency is None or not frequency.max or not frequency.current:
        return None
    return float(min(frequency.current / frequency.max, 1.0))


def memory_ratio() -> float | None:
    """The share of memory that is in use; None if not known."""
    import psutil

    return float(psutil.virtual_memory().percent) / 100


def boot_time_s() -> float:
    """When the system started, Unix time."""
    import psutil

    return float(psutil.boot_time())


def battery() -> BatteryState | None:
    """None if there is no battery."""
    import psutil

    known = getattr(psutil, "sensors_battery", lambda: None)()
    return None if known is None else BatteryState(known.percent, known.power_plugged)


def link_status(name: str) -> LinkStatus | None:
    """None if there is no interface of that name."""
    import psutil

    status = psutil.net_if_stats().get(name)
    if status is None:
        return None
    speed_bps = status.speed * 10**6 if 0 < status.speed < 65_535 else None
    return LinkStatus(speed_bps, status.duplex == psutil.NIC_DUPLEX_HALF)


def link_counters() -> dict[str, LinkCounters]:
    """By the name of the interface."""
    import psutil

    return {
        name: LinkCounters(
            bytes=counters.bytes_sent + counters.bytes_recv,
            packets_out=counters.packets_sent,
            packets_in=counters.packets_recv,
            errors=counters.errin + counters.errout,
        )
        for name, counters in psutil.net_io_counters(pernic=True).items()
    }


def process_use() -> ProcessUse:
    import psutil

    process = psutil.Process()
    with process.oneshot():
        used = process.cpu_times()
        rss_bytes = process.memory_info().rss
        return ProcessUse(used.user + used.system, rss_bytes, process.create_time())
