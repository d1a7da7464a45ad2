"""Whom a file of Windows belongs to. Everybody may make files in %PROGRAMDATA%, so what
one of them says there is not the council's word."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

# LocalSystem, administrators, and what Windows itself installs.
_TRUSTED = {
    "S-1-5-18",
    "S-1-5-32-544",
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
}
_OWNER, _TOKEN_QUERY, _TOKEN_USER = 1, 8, 1


def may_decide(owner: str, own: str) -> bool:
    """Whether the user `own` may follow a file of `owner`; both are SIDs. Pure."""
    return bool(owner) and (owner in _TRUSTED or owner == own)


if sys.platform == "win32":
    import msvcrt

    from probes.platforms.system_library import system_library
    from probes.wire.held_files import SHARED, while_held

    def read_if_trusted(path: Path) -> bytes | None:
        """What is in the file; None if it belongs neither to administrators nor to the
        system nor to this user. Raises `OSError` if it cannot be read."""
        with while_held(lambda: path.open("rb"), held=SHARED) as file:
            handle = ctypes.c_void_p(msvcrt.get_osfhandle(file.fileno()))
            return file.read() if may_decide(_owner(handle), _own_user()) else None

    def _owner(handle: ctypes.c_void_p) -> str:
        """Empty if Windows does not say."""
        api, size = system_library("advapi32.dll"), ctypes.c_uint32()
        api.GetKernelObjectSecurity(handle, _OWNER, None, 0, ctypes.byref(size))
        descriptor = ctypes.create_string_buffer(max(size.value, 1))
        owner, by_default = ctypes.c_void_p(), ctypes.c_int()
        known = api.GetKernelObjectSecurity(
            handle, _OWNER, descriptor, size, ctypes.byref(size)
        ) and api.GetSecurityDescriptorOwner(
            descriptor, ctypes.byref(owner), ctypes.byref(by_default)
        )
        return _sid(owner) if known else ""

    def _own_user() -> str:
        api, kernel = system_library("advapi32.dll"), system_library("kernel32.dll")
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        process, token = ctypes.c_void_p(kernel.GetCurrentProcess()), ctypes.c_void_p()
        if not api.OpenProcessToken(process, _TOKEN_QUERY, ctypes.byref(token)):
            return ""
        user, size = ctypes.create_string_buffer(256), ctypes.c_uint32()
        known = api.GetTokenInformation(
            token, _TOKEN_USER, user, 256, ctypes.byref(size)
        )
        kernel.CloseHandle(token)
        # SID_AND_ATTRIBUTES begins with a pointer to the SID, which is behind it.
        return _sid(ctypes.c_void_p.from_buffer(user)) if known else ""

    def _sid(pointer: ctypes.c_void_p) -> str:
        text = ctypes.c_wchar_p()
        convert = system_library("advapi32.dll").ConvertSidToStringSidW
        if not pointer.value or not convert(pointer, ctypes.byref(text)):
            return ""
        written = text.value or ""
        free = system_library("kernel32.dll").LocalFree
        free.argtypes = [ctypes.c_void_p]
        free(text)
        return written

else:

    def read_if_trusted(path: Path) -> bytes | None:
        """What is in the file: elsewhere only root and this user can have put it into
        the folders that are looked into. Raises `OSError` if it cannot be read."""
        return path.read_bytes()
