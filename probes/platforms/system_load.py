"""How busy this laptop, its links and this process are, on each system."""

import sys

if sys.platform == "win32":
    from probes.platforms.windows_load import (
        battery,
        boot_time_s,
        clock_ratio,
        link_counters,
        link_status,
        memory_ratio,
        process_use,
        processor_times,
    )
else:
    from probes.platforms.psutil_load import (
        battery,
        boot_time_s,
        clock_ratio,
        link_counters,
        link_status,
        memory_ratio,
        process_use,
        processor_times,
    )

__all__ = [
    "battery",
    "boot_time_s",
    "clock_ratio",
    "link_counters",
    "link_status",
    "memory_ratio",
    "process_use",
    "processor_times",
]
