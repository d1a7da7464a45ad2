"""Runs on a Windows Python: what the agent's modules find there, printed as JSON.

The current folder has a planted netsh.exe and winhttp.dll.
"""

import asyncio
import ctypes
import http.server
import json
import logging
import os
import socket
import ssl
import sys
import tempfile
import threading
import time
import winreg
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probes import platforms
from probes.agent.place import KnownPlaces
from probes.agent.policy_refresh import read_policy
from probes.agent.report_delivery import Later
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import SpoolLimits
from probes.agent.spool import Spool
from probes.diagnosis import is_it_me
from probes.measure import name_lookup
from probes.measure.active_interface import local_address
from probes.measure.round_trips import measure_round_trips
from probes.platforms import (
    event_log,
    iphlpapi,
    private_access,
    smbios,
    system_library,
    system_load,
    windows_load,
    winhttp,
    wlanapi,
)
from probes.platforms.commands import find_program, run
from probes.platforms.file_owner import read_if_trusted
from probes.tracing import windows_tracer
from probes.wire.atomic_file import replace_file
from probes.wire.held_files import read_held
from probes.wire.policy import Policy
from probes.wire.socket_errors import outcome_of

SCRIPTS = {
    "/council.pac": b'function FindProxyForURL(url, host) { return host == "towpath'
    b'.council.example" ? "PROXY proxy.example:3128; DIRECT" : "DIRECT"; }',
    "/nonsense.pac": b"<html>this is no script",
    "/several.pac": b'function FindProxyForURL(url, host) { return host == "other'
    b'.example" ? "SOCKS s:1080" : "PROXY a.example:1; PROXY b.example:2; DIRECT"; }',
    "/huge.pac": b"// %b\nfunction FindProxyForURL(url, host) { var all = '';"
    b" for (var n = 0; n < 999; n++) all += 'PROXY p' + n + ':1; '; return all; }"
    % (b"x" * 300_000),
}


async def errors() -> dict[str, str]:
    found = {}
    for name, host, port in (
        ("closed port", "127.0.0.1", 9),
        ("no such name", "nobody.invalid", 80),
    ):
        try:
            await asyncio.open_connection(host, port)
            found[name] = "ok"
        except OSError as error:
            found[name] = outcome_of(error).value
    return found


async def lookup() -> str:
    result = await name_lookup.measure("nobody.invalid", lifetime_s=1, now_ms=lambda: 5)
    return result.outcome.value


class Scripts(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = SCRIPTS[self.path]
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ns-proxy-autoconfig")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def proxies() -> dict[str, list[str]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scripts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    path = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings"
    found = {}
    with winreg.CreateKey(winreg.HKEY_CURRENT_USER, path) as settings:
        for script in SCRIPTS:
            url = f"http://127.0.0.1:{server.server_port}{script}"
            winreg.SetValueEx(settings, "AutoConfigURL", 0, winreg.REG_SZ, url)
            for host in ("towpath.council.example", "other.example"):
                setting = platforms.proxy_towards(f"https://{host}/")
                found[f"{script} {host}"] = [*setting.ways, setting.note]
        winreg.DeleteValue(settings, "AutoConfigURL")
    return found


def set_proxies() -> dict[str, list[str]]:
    """The proxies that a person, the environment and an administrator have set."""
    found = {}

    def note(name: str) -> None:
        setting = platforms.proxy()
        found[name] = [setting.kind, setting.url, *setting.exceptions]

    path = r"Software\Microsoft\Windows\CurrentVersion\Internet Settings"
    listed, bypass = "http=a.example:80;https=b.example:81", "<local>;*.council.example"
    with winreg.CreateKey(winreg.HKEY_CURRENT_USER, path) as settings:
        winreg.SetValueEx(settings, "ProxyServer", 0, winreg.REG_SZ, listed)
        winreg.SetValueEx(settings, "ProxyOverride", 0, winreg.REG_SZ, bypass)
        for enabled in (1, 0):
            winreg.SetValueEx(settings, "ProxyEnable", 0, winreg.REG_DWORD, enabled)
            note(f"person {enabled}")
        for name in ("ProxyServer", "ProxyOverride"):
            winreg.DeleteValue(settings, name)
    os.environ["https_proxy"] = "http://environment.example:3128"
    note("environment")
    del os.environ["https_proxy"]
    # As `netsh winhttp set proxy` does, and `reset proxy`.
    api = system_library.system_library("winhttp.dll")
    texts = [ctypes.create_unicode_buffer(text) for text in (listed, bypass)]
    pointers = [ctypes.addressof(text) for text in texts]
    for name, info in (
        ("administrator", winhttp._ProxyInfo(3, *pointers)),
        ("nobody", winhttp._ProxyInfo(1)),
    ):
        assert api.WinHttpSetDefaultProxyConfiguration(ctypes.byref(info))
        note(name)
    return found


def load() -> list[dict[str, Any]]:
    """The load of this computer and process: ours, and what psutil says of it."""
    import psutil

    times, used = system_load.processor_times(), system_load.process_use()
    battery, known = system_load.battery(), psutil.sensors_battery()
    ours = {
        "busy_s": times.busy_s,
        "idle_s": times.total_s - times.busy_s,
        "clock_ratio": system_load.clock_ratio(),
        "memory_ratio": system_load.memory_ratio(),
        "boot_time_s": system_load.boot_time_s(),
        "battery": battery and battery.percent,
        "cpu_s": used.cpu_s,
        "rss_bytes": used.rss_bytes,
        "started_s": used.started_s,
        "counters": {
            name: [seen.bytes, seen.packets_out, seen.packets_in, seen.errors]
            for name, seen in system_load.link_counters().items()
        },
    }
    process, cpu = psutil.Process(), psutil.cpu_times()
    clock, own = psutil.cpu_freq(), process.cpu_times()
    theirs = {
        "busy_s": cpu.user + cpu.system,
        "idle_s": cpu.idle,
        "clock_ratio": min(clock.current / clock.max, 1) if clock.max else None,
        "memory_ratio": psutil.virtual_memory().percent / 100,
        "boot_time_s": psutil.boot_time(),
        "battery": known and known.percent,
        "cpu_s": own.user + own.system,
        "rss_bytes": process.memory_info().rss,
        "started_s": process.create_time(),
        "counters": {
            name: [
                seen.bytes_sent + seen.bytes_recv,
                seen.packets_sent,
                seen.packets_recv,
                seen.errin + seen.errout,
            ]
            for name, seen in psutil.net_io_counters(pernic=True).items()
        },
    }
    return [ours, theirs]


def echoes() -> list[list[Any]]:
    """The answers to echo requests with two numbers of hops."""
    try:
        tracer = windows_tracer.WindowsIcmpTracer(socket.AF_INET, "127.0.0.1")
        answers = tracer.trace([1, 2], 0.01, 0.5, threading.Event())
    except OSError as error:
        return [[str(error)]]
    return [[echo.address, echo.reached] for echo in answers]


def held_file() -> str:
    """Replaces a file that another program has open for 300 ms."""
    path = Path(tempfile.mkdtemp()) / "status.json"
    path.write_bytes(b"old")
    held = path.open("rb")
    threading.Timer(0.3, held.close).start()
    replace_file(path, b"new", durable=True)
    return path.read_text()


def file_held_alone() -> list[str]:
    """Reads a file that another program has open for 300 ms, for itself alone, and then
    a folder."""
    path = Path(tempfile.mkdtemp()) / "device"
    path.write_bytes(b"known")
    kernel = system_library.system_library("kernel32.dll")
    kernel.CreateFileW.restype = ctypes.c_void_p
    kernel.CloseHandle.argtypes = [ctypes.c_void_p]
    # GENERIC_READ, shared with nobody, OPEN_EXISTING.
    held = kernel.CreateFileW(str(path), 0x8000_0000, 0, None, 3, 0, None)
    threading.Timer(0.3, kernel.CloseHandle, [held]).start()
    found = [read_held(path).decode()]
    try:
        read_held(path.parent)
    except IsADirectoryError:
        found.append("a folder")
    return found


def browser_started() -> list[str]:
    """What is started to show a page: nothing from the current folder."""
    started: list[str] = []
    os.startfile = started.append
    is_it_me.show(Path("is-it-me.html"))
    return [*started, *({"webbrowser"} & sys.modules.keys())]


async def unknown_authority() -> str:
    """What is said of a server whose authority Windows does not know."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain("cert.pem", "key.pem")
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=tls
    )
    address = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    async with server, ServerConnection(address, None, "", "test") as connection:
        try:
            await connection.request("GET", "/")
        except Later as error:
            return str(error).removeprefix(address)
    return "trusted"


def damaged_files() -> list[str]:
    """What is logged about files of the agent's state that are none."""
    folder = Path(tempfile.mkdtemp()) / "Tŷ Müller"
    folder.mkdir()
    (folder / "places.json").mkdir()
    (folder / "policy.json").write_bytes(b"\xff{")
    (folder / "spool.sqlite").mkdir()
    lines: list[str] = []
    collect = logging.Handler()
    collect.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(collect)
    with Spool(folder, SpoolLimits(), lambda: 0) as spool:
        assert KnownPlaces(folder, b"key").known("n1") == ""
        assert read_policy(folder) == Policy()
        assert spool.trouble == ""
    logging.getLogger().removeHandler(collect)
    return [line.partition(" error=")[0] for line in lines]


def private_folder() -> str:
    folder = Path(r"C:\ProgramData\towpath-agent")
    folder.mkdir(parents=True, exist_ok=True)
    private_access.make_private(folder)
    (folder / "credential.json").write_text("{}")
    return str(folder)


def owners() -> list[bool]:
    """Whether the settings that two users have put into C:\\ProgramData are read."""
    folder = Path(r"C:\ProgramData\towpath-planted")
    names = ("own.toml", "other.toml")
    return [read_if_trusted(folder / name) is not None for name in names]


def event() -> str:
    try:
        event_log.write_event(event_log.INFORMATION, 1, "agent_started")
    except OSError as error:
        return str(error)
    return ""


def layouts() -> Iterator[tuple[str, str, int, int]]:
    """Structure, field, offset and size of all ctypes structures; the structure's own
    size without a field."""
    for module in (iphlpapi, winhttp, wlanapi, windows_load, windows_tracer):
        for name, kind in vars(module).items():
            if isinstance(kind, type) and issubclass(kind, ctypes.Structure):
                if kind is ctypes.Structure:
                    continue
                yield f"{module.__name__}.{name}", "", 0, ctypes.sizeof(kind)
                for field, *_ in getattr(kind, "_fields_", ()):
                    at: Any = getattr(kind, field)
                    yield f"{module.__name__}.{name}", field, at.offset, at.size


def main() -> None:
    began_s = time.monotonic()
    listed = platforms.interfaces()
    facts = {
        "errors": asyncio.run(errors()),
        "round_trips_ms": asyncio.run(
            measure_round_trips("127.0.0.1", 9, attempts=1)
        ).rtt_ms,
        "lookup": asyncio.run(lookup()),
        "resolvers": platforms.resolvers(),
        "interfaces": [] if isinstance(listed, str) else [i.name for i in listed],
        "gateways": []
        if isinstance(listed, str)
        else sorted(i.gateway for i in listed if i.up and i.gateway),
        "local_addresses": [local_address(at) for at in ("127.0.0.1", "203.0.113.1")],
        "wifi": str(platforms.wifi(b"key")),
        "neighbour": platforms.hardware_address("192.0.2.1", "eth0"),
        "echoes": echoes(),
        "set_proxies": set_proxies(),
        "netsh": find_program("netsh"),
        "nothing": find_program("no-such-program"),
        "ran": isinstance(run("netsh", "show"), bytes),
        "library": bool(system_library.system_library("winhttp.dll")),
        "folder": system_library.system_folder(),
        "proxies": proxies(),
        "held_file": held_file(),
        "held_alone": file_held_alone(),
        "browser": browser_started(),
        "damaged_files": damaged_files(),
        "unknown_authority": asyncio.run(unknown_authority()),
        "private_folder": private_folder(),
        "event": event(),
        "owners": owners(),
        "machine": smbios.raw_table()[:3].hex(),
        "machine_numbers": platforms.machine_numbers(),
        "slept_s": platforms.slept_s(),
        "load": load(),
        "layouts": list(layouts()),
    }
    facts["took_s"] = time.monotonic() - began_s
    json.dump(facts, sys.stdout)


main()
