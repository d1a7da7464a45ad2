"""Runs a system command within bounds: time, output size, language, no window.

Takes fixed argument lists only and never uses a shell. Output stays bytes, because the
parsers know its encoding.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from probes.wire.failure import Outcome

MAX_OUTPUT_BYTES = 2_000_000
TIMEOUT_S = 15.0
_SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin"
# CREATE_NO_WINDOW: without it a console window flashes up on the screen.
_NO_WINDOW = 0x0800_0000 if sys.platform == "win32" else 0


def run(*command: str, timeout_s: float = TIMEOUT_S) -> bytes | Outcome:
    """Returns what `command` prints; `not_supported` if it is not installed or may not
    be run, `timeout` if it does not end. Some tools print useful output and still fail,
    so the exit code counts only if nothing was printed."""
    path = os.environ.get("PATH", "") + (
        "" if sys.platform == "win32" else f":{_SYSTEM_PATH}"
    )
    program = shutil.which(command[0], path=path)
    if program is None:
        return Outcome.NOT_SUPPORTED
    try:
        finished = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
            env={**os.environ, "LC_ALL": "C", "LANG": "C"},
            creationflags=_NO_WINDOW,
        )
    except subprocess.TimeoutExpired:
        return Outcome.TIMEOUT
    except OSError:
        return Outcome.NOT_SUPPORTED
    if finished.returncode != 0 and not finished.stdout:
        return Outcome.NOT_SUPPORTED
    return finished.stdout[:MAX_OUTPUT_BYTES]
