"""What of a process' memory under Wine is Wine's own.

Wine reads each library that is not its own into memory as a whole. Windows maps them,
shares them between programs, and reads only the pages that are used.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import services
from windows_python import CACHE, ROOT, WindowsLaptop

_IDLE_C = """
#include <windows.h>
int main(void)
{
    char byte;
    DWORD count;
    return ReadFile(GetStdHandle(STD_INPUT_HANDLE), &byte, 1, &count, NULL) ? 0 : 1;
}
"""
_STARTED_S = 5.0
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+\s*(.*)")


def copied_bytes(pid: int) -> int:
    """The resident bytes of these copies: the anonymous memory behind the first page of
    each library, no more than its image has."""
    copied, left, end = 0, 0, 0
    for line in Path(f"/proc/{pid}/smaps").read_text("utf-8").splitlines():
        mapping = _MAPPING.match(line)
        if mapping:
            begins, ends = int(mapping[1], 16), int(mapping[2], 16)
            path = Path(mapping[3])
            if path.suffix in {".dll", ".pyd", ".exe"}:
                if begins != end or not left:
                    left = _image_bytes(path)
                inside = False
            else:
                inside = not mapping[3] and begins == end and left > 0
                left = left if inside else 0
            end = ends
        elif line.startswith("Rss:"):
            bytes_here = min(int(line.split()[1]) * 1024, left)
            left = max(left - (ends - begins), 0)
            copied += bytes_here if inside else 0
    return copied


def _image_bytes(library: Path) -> int:
    """SizeOfImage of its header."""
    head = library.read_bytes()[:4096]
    (at,) = struct.unpack_from("<I", head, 0x3C)
    (size,) = struct.unpack_from("<I", head, at + 24 + 56)
    return int(size)


@contextlib.contextmanager
def installed_windows() -> Iterator[WindowsLaptop]:
    """A laptop whose Python has the agent and its libraries as the MSI brings them:
    compiled, and found without a look at the environment."""
    with tempfile.TemporaryDirectory() as folder:
        installed = Path(folder, "python")
        shutil.copytree(CACHE / "windows-python", installed)
        site = installed / "Lib" / "site-packages"
        shutil.copytree(
            ROOT / "probes",
            site / "probes",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        (site / "towpath-0.0.0.dist-info").mkdir()
        laptop = WindowsLaptop(installed / "python.exe", CACHE / "wine-benchmark")
        laptop.prepare()
        laptop.longest_s = 600
        del laptop.environment["PYTHONPATH"]
        library = f"Z:{installed / 'Lib'}"
        laptop.run_python("-I", "-m", "compileall", "-q", library, cwd=installed)
        yield laptop


def compiled_c(laptop: WindowsLaptop) -> str:
    """A program that waits for its input, and does nothing else."""
    program = laptop.python.parent / "idle.exe"
    subprocess.run(
        [services.program("x86_64-w64-mingw32-gcc"), "-O2", "-x", "c", "-",
         "-o", program],
        input=_IDLE_C.encode(),
        check=True,
    )  # fmt: skip
    return str(program)


def wine_rss_bytes(laptop: WindowsLaptop, *command: str) -> float:
    """The resident set of a program that waits for its input."""
    with subprocess.Popen(
        [services.program("wine"), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=laptop.environment,
    ) as process:
        time.sleep(_STARTED_S)
        rss_bytes = psutil.Process(process.pid).memory_info().rss
        process.communicate()
    return float(rss_bytes)
