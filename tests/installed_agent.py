"""An agent that its MSI has installed on Windows under Wine."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import services
from windows_python import CACHE, ROOT, WindowsLaptop

from probes.diagnosis.agent_status import Status, read_status

KEY = r"Software\Towpath\Agent"
POLICY_KEY = r"Software\Policies\Towpath\Agent"


def windows_path(path: Path) -> str:
    return f"Z:{path}".replace("/", "\\")


def build_package(out: Path, version: str) -> Path:
    """Builds the MSI with the Windows Python of the tests; libraries are downloaded
    once on a machine."""
    lock = (ROOT / "deploy" / "agent.lock").read_bytes()
    wheels = CACHE / f"wheels-{hashlib.sha256(lock).hexdigest()[:16]}"
    wheels.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [sys.executable, ROOT / "deploy" / "windows" / "make-msi", "--wheels", wheels,
         "--version", version, CACHE / "windows-python", out],
        timeout=600,
        check=True,
    )  # fmt: skip
    return out


class InstalledAgent:
    """`laptop` has a Wine prefix of its own."""

    def __init__(self, laptop: WindowsLaptop) -> None:
        self.laptop = laptop
        laptop.longest_s = 300.0
        self.program = laptop.drive / "Program Files" / "Towpath" / "Agent"
        self.data = laptop.drive / "ProgramData" / "Towpath"
        self.state = self.data / "Agent"
        # Wine ends all services when nobody is signed in: when no other program runs.
        self._signed_in = subprocess.Popen(
            [services.program("wine"), "cmd"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=laptop.environment,
        )
        # What Windows 10 and newer say of themselves.
        laptop.run_wine(
            "reg", "add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f"
        )

    def msiexec(self, *arguments: str) -> int:
        """The exit code of Windows, of which Wine's own has eight bits only."""
        command = ["msiexec", *arguments]
        code = f"import subprocess\nprint(json.dumps(subprocess.call({command!r})))"
        value: int = self.laptop.value(code)
        return value

    def install(self, package: Path, *more: str) -> int:
        return self.msiexec("/i", windows_path(package), "/qn", *more)

    def uninstall(self, *more: str) -> int:
        return self.msiexec("/x", self.product_code(), "/qn", *more)

    def product_code(self) -> str:
        """Of the one that is installed; empty if there is none."""
        code = """
import winreg
found, path = [], r"Software\\Microsoft\\Windows\\CurrentVersion\\Uninstall"
with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
    for number in range(winreg.QueryInfoKey(key)[0]):
        name = winreg.EnumKey(key, number)
        with winreg.OpenKey(key, name) as product:
            try:
                if winreg.QueryValueEx(product, "DisplayName")[0] == "Towpath agent":
                    found.append(name)
            except OSError:
                pass
print(json.dumps(found))
"""
        found: list[str] = self.laptop.value(code)
        assert len(found) < 2
        return found[0] if found else ""

    def registry(self, key: str) -> dict[str, Any]:
        """The values of a key of HKLM; empty if there is none."""
        code = f"""
import winreg
values = {{}}
try:
    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, {key!r}) as opened:
        for number in range(winreg.QueryInfoKey(opened)[1]):
            name, value, _ = winreg.EnumValue(opened, number)
            values[name] = value
except OSError:
    pass
print(json.dumps(values))
"""
        values: dict[str, Any] = self.laptop.value(code)
        return values

    def set_policy(self, **values: str) -> None:
        for name, value in values.items():
            self.laptop.run_wine(
                "reg", "add", rf"HKLM\{POLICY_KEY}", "/v", name, "/d", value, "/f"
            )

    def service_runs(self) -> bool:
        shown = self.laptop.run_wine("sc", "query", "TowpathAgent").stdout.decode()
        return "RUNNING" in shown

    def command(self, *arguments: str) -> tuple[int, str]:
        """What a person types: the command is found on PATH."""
        code = f"""
import os, subprocess, winreg
path = r"SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Environment"
with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
    os.environ["PATH"] = os.path.expandvars(winreg.QueryValueEx(key, "PATH")[0])
done = subprocess.run(["cmd", "/c", "towpath-agent", *{list(arguments)!r}],
    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
print(json.dumps([done.returncode, done.stdout.decode("utf-8", "replace")]))
"""
        returned, printed = self.laptop.value(code)
        return int(returned), str(printed)

    def status(self) -> Status | None:
        return read_status(self.data / "shown")

    def log(self) -> str:
        path = self.state / "agent.log"
        return path.read_text("utf-8") if path.is_file() else ""

    def device(self) -> tuple[str, Any]:
        """Its own id and the pseudonym that it enrolled as."""
        credential = msgspec.json.decode((self.state / "credential.json").read_bytes())
        return (self.state / "device").read_text(), credential["agent"]

    def program_files(self) -> dict[str, int]:
        return {
            str(path.relative_to(self.program)): path.stat().st_mtime_ns
            for path in self.program.rglob("*")
        }

    def left_over(self) -> list[str]:
        """What of the agent is on the laptop, besides its state and the policy."""
        found = [
            str(path)
            for folder in (self.program.parent, self.data)
            if folder.exists()
            for path in (folder, *folder.rglob("*"))
            if self.state not in (path, *path.parents)
        ]
        # What was moved aside.
        found += [str(path) for path in self.data.parent.glob("Towpath.*")]
        menu = (
            self.laptop.drive / "ProgramData" / "Microsoft" / "Windows" / "Start Menu"
        )
        found += [str(path) for path in menu.rglob("*Is it me*")]
        for key in (
            KEY,
            r"SYSTEM\CurrentControlSet\Services\TowpathAgent",
            r"SYSTEM\CurrentControlSet\Services\EventLog\Application\Towpath agent",
        ):
            found += [f"{key}: {json.dumps(v)}" for v in [self.registry(key)] if v]
        environment = r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
        if "Towpath" in self.registry(environment)["PATH"]:
            found.append("PATH")
        return found

    def close(self) -> None:
        self._signed_in.communicate(b"exit\r\n", timeout=60)
        self.laptop.run_wine("wineboot", "--kill")
        shutil.rmtree(self.laptop.prefix, ignore_errors=True)
