"""A real snmpd with 50 ports, in a network namespace of its own, for the benchmarks of
polling. It answers at every address of 10.0.0.0/8, so it is as many devices as a
benchmark wants."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services import free_port
from waiting import wait_until

from collectors.snmp import Credential, credential
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import Sessions

PORTS = 50
USERS = {
    "v2c": {"community": "public"},
    "v3": {
        "user": "bench",
        "auth_password": "authpassword",
        "priv_password": "privpassword",
    },
}
_CONFIG = """rocommunity public
createUser bench SHA-256 authpassword AES privpassword
rouser bench priv
"""
_FIRST = int(ipaddress.IPv4Address("10.16.0.0"))
_IN_PKTS = "1.3.6.1.2.1.11.1.0"
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def run_in_namespace(module: str, *arguments: str) -> dict[str, float]:
    """Runs `python -m MODULE --inside ARGUMENTS` in a network namespace; returns the
    figures that its last line has as JSON. Its log is this process's."""
    unshare = shutil.which("unshare")
    if unshare is None:
        raise RuntimeError(
            "unshare (util-linux) is needed to create a network namespace"
        )
    own = [sys.executable, "-m", module, "--inside", *arguments]
    done = subprocess.run(
        [unshare, "--user", "--map-root-user", "--net", "--mount", *own],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PATH": _PATH},
    )
    if done.returncode != 0:
        raise RuntimeError(f"{module} ended with {done.returncode}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def create_ports() -> None:
    """In the namespace: creates the agent's ports, all of them up."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # Every address of the network is this machine, and answers echoes too.
    every = ["ip", "route", "add", "local", "10.0.0.0/8", "dev", "lo"]
    subprocess.run(every, check=True)
    for n in range(PORTS // 2):
        ends = (f"ge{2 * n}", f"ge{2 * n + 1}")
        add = ["ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1]]
        subprocess.run(add, check=True)
        for end in ends:
            subprocess.run(["ip", "link", "set", end, "up"], check=True)


@contextmanager
def snmpd(folder: Path) -> Iterator[int]:
    """Runs the agent; yields its UDP port."""
    (folder / "snmpd.conf").write_text(_CONFIG)
    port = free_port(socket.SOCK_DGRAM)
    command = ["snmpd", "-f", "-Lf", str(folder / "snmpd.log"), "-C"]
    command += ["-c", str(folder / "snmpd.conf"), "-p", str(folder / "snmpd.pid")]
    env = {**os.environ, "SNMP_PERSISTENT_DIR": str(folder / "kept"), "MIBS": ""}
    with subprocess.Popen([*command, f"udp:0.0.0.0:{port}"], env=env) as process:
        try:
            wait_until(lambda: _answers(port), "snmpd")
            yield port
        finally:
            process.terminate()


def address(n: int) -> str:
    """The address of device `n`, of the agent or of `benchmarks.poll_switches`."""
    return str(ipaddress.IPv4Address(_FIRST + n))


def bench_credential(version: str) -> Credential:
    return credential("bench", USERS[version])


def packets_in(port: int) -> int:
    """snmpInPkts of the agent; each call is one more."""

    async def query() -> int:
        async with Sessions() as sessions:
            session = sessions.open(
                "127.0.0.1", port, bench_credential("v2c"), RetryPolicy((5.0,))
            )
            answer = await session.get([_IN_PKTS])
            session.close()
            return int(answer[_IN_PKTS])

    return asyncio.run(query())


def _answers(port: int) -> bool:
    try:
        return packets_in(port) >= 0
    except Exception:  # noqa: BLE001 - it has not started yet
        return False
