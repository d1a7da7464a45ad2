"""Access lists of Windows: a folder that only its owner, the system and administrators
may open, and those that people may read or create files in (advapi32.dll)."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

# Protected from what the folder above grants, and inherited by what is in it: full
# access for the owner (OW), LocalSystem (SY), administrators (BA), and for LocalService
# (LS), which runs the service but does not own what the installer has made.
_PRIVATE = "D:PAI(A;OICI;FA;;;OW)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;LS)"
# Users (BU) read it and what is in it.
_READABLE = f"{_PRIVATE}(A;OICI;0x1200a9;;;BU)"
# Users create files in it (FILE_ADD_FILE, FILE_TRAVERSE, FILE_READ_ATTRIBUTES and
# SYNCHRONIZE), but neither list it nor make folders; a file is its owner's.
_CREATING = f"{_PRIVATE}(A;;0x1000a2;;;BU)"
_SDDL_REVISION = 1
# DACL_SECURITY_INFORMATION and PROTECTED_DACL_SECURITY_INFORMATION (winnt.h).
_PROTECTED_DACL = 0x4 | 0x8000_0000
# SE_FILE_OBJECT (accctrl.h).
_FILE_OBJECT = 1

if sys.platform == "win32":
    from probes.platforms.system_library import system_library

    def make_private(folder: Path) -> None:
        """Closes the folder to others. Raises `OSError` if that is not allowed."""
        _set_access(folder, _PRIVATE)

    def open_folder(folder: Path, *, may_create: bool) -> None:
        """Lets all users read the folder, or only create files in it. Raises
        `OSError`."""
        _set_access(folder, _CREATING if may_create else _READABLE)

    def _set_access(folder: Path, access: str) -> None:
        api = system_library("advapi32.dll")
        descriptor, listed = ctypes.c_void_p(), ctypes.c_void_p()
        present, by_default = ctypes.c_int(), ctypes.c_int()
        convert = api.ConvertStringSecurityDescriptorToSecurityDescriptorW
        if not convert(access, _SDDL_REVISION, ctypes.byref(descriptor), None):
            raise OSError("Windows reads no access list")
        try:
            api.GetSecurityDescriptorDacl(
                descriptor,
                ctypes.byref(present),
                ctypes.byref(listed),
                ctypes.byref(by_default),
            )
            # Takes from the files that are there what they have inherited from the
            # folder above, which SetFileSecurity does not do.
            api.SetNamedSecurityInfoW.argtypes = [
                ctypes.c_wchar_p,
                ctypes.c_int,
                ctypes.c_uint32,
                *[ctypes.c_void_p] * 4,
            ]
            error = api.SetNamedSecurityInfoW(
                str(folder), _FILE_OBJECT, _PROTECTED_DACL, None, None, listed, None
            )
            # Once more, because Wine's keeps what the folder itself has inherited.
            api.SetFileSecurityW.argtypes = [
                ctypes.c_wchar_p,
                ctypes.c_uint32,
                ctypes.c_void_p,
            ]
            if error or not api.SetFileSecurityW(
                str(folder), _PROTECTED_DACL, descriptor
            ):
                raise OSError(
                    f"Windows does not let this user protect {folder} (error {error})"
                )
        finally:
            free = system_library("kernel32.dll").LocalFree
            free.argtypes = [ctypes.c_void_p]
            free(descriptor)
