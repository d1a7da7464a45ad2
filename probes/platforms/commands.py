"""A system's own command, run with bounds: time, output, language, no window.

Fixed argument lists only, never a shell; what is printed is bytes, since its encoding
is the parser's business.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from probes.wire.failure import Outcome

MAX_OUTPUT_BYTES = 2_000_000
TIMEOUT_S = 15.0
_PLACES = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin"
# CREATE_NO_WINDOW: else a console flashes up on the person's screen.
_NO_WINDOW = 0x0800_0000 if sys.platform == "win32" else 0


def run(*command: str, timeout_s: float = TIMEOUT_S) -> bytes | Outcome:
    """What `command` prints; `not_supported` where it is not installed or may not be
    run, `timeout` where it does not end. Some tools fail and print what matters all
    the same: the exit code is not looked at, unless nothing was printed."""
    path = os.environ.get("PATH", "") + (
        "" if sys.platform == "win32" else f":{_PLACES}"
    )
    program = shutil.which(command[0], path=path)
    if program is None:
        return Outcome.NOT_SUPPORTED
    try:
        done = subprocess.run(
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
    if done.returncode != 0 and not done.stdout:
        return Outcome.NOT_SUPPORTED
    return done.stdout[:MAX_OUTPUT_BYTES]
