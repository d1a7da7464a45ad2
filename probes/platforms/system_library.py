"""Loads the libraries of Windows from its own folder only, so that a file of the same
name beside a program or in the current folder is never run."""

from __future__ import annotations

import ctypes
import sys

# LOAD_LIBRARY_SEARCH_SYSTEM32 (libloaderapi.h).
_SYSTEM32 = 0x800

if sys.platform == "win32":

    def system_library(name: str) -> ctypes.WinDLL:
        """The library `name`, such as `iphlpapi.dll`. Raises `OSError` if this Windows
        has none."""
        return ctypes.WinDLL(name, winmode=_SYSTEM32)

    def system_folder() -> str:
        """`C:\\Windows\\System32`, as Windows itself says, not the environment. Raises
        `OSError` if it says nothing."""
        buffer = ctypes.create_unicode_buffer(1_024)
        if not system_library("kernel32.dll").GetSystemDirectoryW(buffer, 1_024):
            raise OSError("Windows does not name its system folder")
        return buffer.value
