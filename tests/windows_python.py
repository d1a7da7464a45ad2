"""The agent on a Windows Python under Wine: a laptop of `Zoë Müller`."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import services

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "towpath")
_MOST_PREFIXES = 16
PROFILE = r"C:\users\Zoë Müller"
# What Windows sets for each user; Wine sets its own.
_USER = f"""
import os, sys
os.environ["USERPROFILE"] = {PROFILE!r}
os.environ["LOCALAPPDATA"] = {f"{PROFILE}/AppData/Local"!r}
os.environ["APPDATA"] = {f"{PROFILE}/AppData/Roaming"!r}
for name in [name for name in os.environ if name.startswith("TOWPATH_")]:
    del os.environ[name]
"""
_AGENT = f"""{_USER}
from probes.agent.agent_cli import main
sys.exit(main())
"""


class WindowsLaptop:
    """Runs Python code and the agent's commands. Its standard streams are pipes."""

    longest_s = 100.0

    def __init__(self, python: Path, prefix: Path) -> None:
        self.python, self.prefix = python, prefix
        self.drive = prefix / "drive_c"
        self.profile = self.drive / "users" / "Zoë Müller"
        self.environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(prefix),
            "WINEPREFIX": str(prefix),
            # Wine's own remarks; and none of its programs for web pages and .NET.
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": "mscoree,mshtml=",
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": f"Z:{ROOT}".replace("/", "\\"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def command(self, *arguments: str) -> list[str]:
        """The command line of `towpath-agent` with these arguments."""
        return self._command("-c", _AGENT, *arguments)

    def agent(
        self, *arguments: str, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return self._run(self.command(*arguments), cwd)

    def value(self, code: str, cwd: Path | None = None) -> Any:
        """What `code` prints as JSON."""
        done = self._run(self._command("-c", f"{_USER}import json\n{code}"), cwd)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def prepare(self) -> None:
        """Makes Wine's folder, once on a machine: that takes longer than the tests."""
        if not (self.prefix / "made").is_file():
            shutil.rmtree(self.prefix, ignore_errors=True)
            self.prefix.mkdir(parents=True)
            subprocess.run(
                [services.program("wine"), "wineboot", "--init"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=self.environment,
                timeout=110,
                check=True,
            )
            (self.prefix / "made").touch()
        self.forget_user()

    def forget_user(self) -> None:
        """Removes what the user of an earlier run has left."""
        shutil.rmtree(self.profile, ignore_errors=True)

    def run_python(
        self, *arguments: str, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return self._run(self._command(*arguments), cwd)

    def run_wine(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        """Runs a program of Wine's own."""
        return self._run([services.program("wine"), *command], None)

    def _command(self, *arguments: str) -> list[str]:
        return [services.program("wine"), str(self.python), "-B", *arguments]

    def _run(
        self, command: list[str], cwd: Path | None
    ) -> subprocess.CompletedProcess[bytes]:
        # What stays in the background (Wine's server, a service) keeps standard error
        # open, so its end is not waited for.
        reading, writing = os.pipe()
        try:
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=writing,
                env=self.environment,
                cwd=cwd,
            ) as process:
                os.close(writing)
                try:
                    out, _ = process.communicate(timeout=self.longest_s)
                except BaseException:
                    process.kill()
                    raise
            os.set_blocking(reading, False)
            errors = b""
            with contextlib.suppress(BlockingIOError):
                while part := os.read(reading, 65_536):
                    errors += part
        finally:
            os.close(reading)
        return subprocess.CompletedProcess(command, process.returncode, out, errors)


def free_prefix(folder: Path) -> Path:
    """A folder for Wine that no other process uses, as long as this one runs.

    It is kept for later runs: making one takes longer than the tests.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, _MOST_PREFIXES + 1):
        prefix = folder / ("wine" if number == 1 else f"wine-{number}")
        lock = os.open(f"{prefix}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        # The lock ends with the process.
        return prefix
    raise RuntimeError(f"{_MOST_PREFIXES} processes use Wine's folders in {folder}")


# One for all tests of a process.
_own_prefix = functools.cache(free_prefix)


def windows_laptop(prefix: Path | None = None) -> WindowsLaptop:
    """Skips (fails where CI=true) if there is no Wine or no Python for it. Without a
    `prefix` it is one that is kept."""
    services.program("wine")
    python = CACHE / "windows-python" / "python.exe"
    if not python.is_file():
        services.absent(f"no Windows Python in {python.parent} (make services)")
    prefix = prefix or _own_prefix(CACHE)
    laptop = WindowsLaptop(python, prefix)
    if not (prefix / "made").is_file():
        shutil.rmtree(prefix, ignore_errors=True)
        prefix.mkdir(parents=True)
        laptop.run_wine("wineboot", "--init")
        (prefix / "made").touch()
    shutil.rmtree(laptop.profile, ignore_errors=True)
    return laptop
