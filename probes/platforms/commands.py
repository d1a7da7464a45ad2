"""Runs a system command within bounds: time, output size, language, no window.

Takes fixed argument lists only and never uses a shell. Programs are looked for in
absolute folders only, on Windows in those of the system: a file of the same name in the
current folder is never run. Output stays bytes, because the parsers know its encoding.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from probes.wire.failure import Outcome

if sys.platform == "win32":
    from probes.platforms.system_library import system_folder

MAX_OUTPUT_BYTES = 2_000_000
TIMEOUT_S = 15.0
_SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin"
# CREATE_NO_WINDOW: without it a console window flashes up on the screen.
_NO_WINDOW = 0x0800_0000 if sys.platform == "win32" else 0


def find_program(name: str) -> str | None:
    """The absolute path of a system command; None if it is not installed."""
    if sys.platform == "win32":
        system = Path(system_folder())
        file = name if name.lower().endswith(".exe") else f"{name}.exe"
        paths = (system / file, system / "WindowsPowerShell" / "v1.0" / file)
        return next((str(path) for path in paths if path.is_file()), None)
    listed = f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}".split(":")
    absolute = ":".join(folder for folder in listed if folder.startswith("/"))
    return shutil.which(name, path=absolute)


def run(*command: str, timeout_s: float = TIMEOUT_S) -> bytes | Outcome:
    """Returns what `command` prints; `not_supported` if it is not installed or may not
    be run, `timeout` if it does not end. Some tools print useful output and still fail,
    so the exit code counts only if nothing was printed."""
    program = find_program(command[0])
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
