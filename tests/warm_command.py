"""`towpath` in processes of its own, forked from one that has imported everything.

An import of everything takes a second of the processor, and the tests run hundreds of
commands. What depends on the start itself runs the installed command, such as
`test_command_help.py` and `test_demo.py`.
"""

from __future__ import annotations

import functools
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "towpath.cli",
        "towpath.check",
        "towpath.run",
        "collectors.store.parquet_store",
        "dashboards.report",
        "rich.progress",
        "built_command",
    ]
)


@functools.cache
def _start_server() -> None:
    """So that it finds `built_command`, which is here."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


class WarmCommand:
    """`towpath`, or the Python text `script`, with these arguments; used as a
    `subprocess.Popen`."""

    def __init__(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        out: Path,
        errors: Path | None = None,
        script: str = "",
        cwd: Path | None = None,
    ) -> None:
        self.args = ["-c" if script else "towpath", *arguments]
        words = (self.args, dict(env), out, errors, script, cwd)
        _start_server()
        self._process = _CONTEXT.Process(target=_run, args=words, daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def send_signal(self, which: signal.Signals) -> None:
        if self.returncode is None:
            os.kill(self.pid, which)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run_to_end(
    arguments: Sequence[str],
    env: Mapping[str, str],
    timeout_s: float,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """One command to its end, and what it said."""
    with tempfile.TemporaryDirectory() as folder:
        out, errors = Path(folder) / "out", Path(folder) / "errors"
        command = WarmCommand(arguments, env, out, errors, cwd=cwd)
        try:
            code = command.wait(timeout_s)
        finally:
            command.kill()
        said = [path.read_text(encoding="utf-8") for path in (out, errors)]
        return subprocess.CompletedProcess(command.args, code, *said)


def _run(
    arguments: list[str],
    env: dict[str, str],
    out: Path,
    errors: Path | None,
    script: str,
    cwd: Path | None,
) -> None:
    # What was imported is not looked through for garbage.
    gc.freeze()
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    if cwd is not None:
        os.chdir(cwd)
    for stream, path in ((sys.stdout, out), (sys.stderr, errors or out)):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(handle, stream.fileno())
        os.close(handle)
    sys.argv = arguments
    if script:
        exec(script, {"__name__": "__main__"})
    else:
        from towpath.cli import main

        main()
