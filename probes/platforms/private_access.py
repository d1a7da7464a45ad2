"""Access lists of Windows: a folder that only its owner, the system and administrators
may open (advapi32.dll)."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

# Protected from what the folder above grants, and inherited by what is in it: full
# access for the owner (OW), LocalSystem (SY) and administrators (BA).
_PRIVATE = "D:PAI(A;OICI;FA;;;OW)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
_SDDL_REVISION = 1
# DACL_SECURITY_INFORMATION and PROTECTED_DACL_SECURITY_INFORMATION (winnt.h).
_PROTECTED_DACL = 0x4 | 0x8000_0000

if sys.platform == "win32":
    from probes.platforms.system_library import system_library

    def make_private(folder: Path) -> None:
        """Replaces the folder's access list. Raises `OSError` if that is not
        allowed."""
        api = system_library("advapi32.dll")
        descriptor = ctypes.c_void_p()
        convert = api.ConvertStringSecurityDescriptorToSecurityDescriptorW
        if not convert(_PRIVATE, _SDDL_REVISION, ctypes.byref(descriptor), None):
            raise OSError("Windows reads no access list")
        try:
            api.SetFileSecurityW.argtypes = [
                ctypes.c_wchar_p,
                ctypes.c_uint32,
                ctypes.c_void_p,
            ]
            if not api.SetFileSecurityW(str(folder), _PROTECTED_DACL, descriptor):
                raise OSError(f"Windows does not let this user protect {folder}")
        finally:
            free = system_library("kernel32.dll").LocalFree
            free.argtypes = [ctypes.c_void_p]
            free(descriptor)
