"""How many files a process may have open: each connection and each socket is one."""

from __future__ import annotations

import contextlib
import importlib


def raise_file_limit() -> int | None:
    """As many open files as the system allows us; the number, None where there is no
    such limit (Windows). Services start with 1,024."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:
        # Windows.
        return None
    limit, infinite = resource.RLIMIT_NOFILE, resource.RLIM_INFINITY
    soft, hard = resource.getrlimit(limit)
    wanted = 1 << 20 if hard == infinite else hard
    if soft != infinite and soft < wanted:
        # macOS refuses some of the limits it reports itself.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (wanted, hard))
    return int(resource.getrlimit(limit)[0])
