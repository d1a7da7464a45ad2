"""Writes to the Application log of Windows (advapi32.dll), which is often collected.

Messages are shown as they are if the source is registered with `EventCreate.exe`, whose
messages 1 to 1000 are just their text; without that the viewer adds a remark.
"""

from __future__ import annotations

import ctypes
import sys

SOURCE = "Towpath agent"
# EVENTLOG_ERROR_TYPE, EVENTLOG_WARNING_TYPE, EVENTLOG_INFORMATION_TYPE (winnt.h).
ERROR, WARNING, INFORMATION = 1, 2, 4
# One message holds 31,839 characters (ReportEvent).
_LONGEST = 30_000

if sys.platform == "win32":
    from probes.platforms.system_library import system_library

    def write_event(kind: int, number: int, text: str) -> None:
        """Adds one event. Raises `OSError` if Windows does not take it."""
        api = system_library("advapi32.dll")
        api.RegisterEventSourceW.restype = ctypes.c_void_p
        api.ReportEventW.argtypes = [
            ctypes.c_void_p,
            ctypes.c_uint16,
            ctypes.c_uint16,
            ctypes.c_uint32,
            ctypes.c_void_p,
            ctypes.c_uint16,
            ctypes.c_uint32,
            ctypes.POINTER(ctypes.c_wchar_p),
            ctypes.c_void_p,
        ]
        api.DeregisterEventSource.argtypes = [ctypes.c_void_p]
        source = api.RegisterEventSourceW(None, SOURCE)
        if not source:
            raise OSError("Windows opens no event log")
        try:
            texts = (ctypes.c_wchar_p * 1)(text[:_LONGEST])
            if not api.ReportEventW(source, kind, 0, number, None, 1, 0, texts, None):
                raise OSError("Windows does not take the event")
        finally:
            api.DeregisterEventSource(source)
