"""Gives up what was needed to open the capture: capabilities, and the root user."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from collectors.state_owner import become_owner, is_of_another

_SET_NO_NEW_PRIVILEGES, _CAPABILITY_VERSION_3 = 38, 0x20080522


def drop_privileges(owner_of: Path | None = None) -> None:
    """Ends with no capability, and without a way to new ones. If root, the process
    becomes the owner of `owner_of`, so that it can write there.

    Call it before any thread is started: capabilities are a thread's own. Raises
    `OSError`.
    """
    if owner_of is not None and is_of_another(owner_of):
        become_owner(owner_of)
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    # struct __user_cap_header_struct, and two of __user_cap_data_struct.
    head = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _check(libc.capset(head, (ctypes.c_uint32 * 6)()))


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
