"""The limit of open files of a process: each connection and each socket counts."""

from __future__ import annotations

import contextlib
import importlib


def raise_file_limit() -> int | None:
    """Raises the limit to what the system allows; services start with 1,024.

    Returns the limit, or None if the system has none (Windows).
    """
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
