"""The lab's network: a Linux network namespace for each device, with a real snmpd and,
with root, a real lldpd; veth pairs as cables; a carrier whose bridges are WAN lines.

All of it is in namespaces of one process: when that ends, everything in them ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from benchmarks.lab_council import (
    CABLES,
    CARRIER,
    LINES,
    MONITOR,
    MONITOR_ADDRESS,
    NODES,
    LabLine,
    Node,
    ports_of,
    routes_of,
    snmpd_conf,
)

_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
_NEEDED = ("unshare", "nsenter", "ip", "nft", "tc", "sysctl", "snmpd")
_SETUP = """set -e
mount -t tmpfs none /run
mkdir -p /run/netns /run/lldpd /run/lab
ip link set lo up
echo ready
exec cat
"""
_LLDPD = """configure lldp tx-interval 5
configure lldp portidsubtype ifname
"""


Started = subprocess.Popen[bytes]


class LabMissing(Exception):
    """This machine cannot run the lab; the text says why."""


class LabNetwork:
    """`with LabNetwork() as network`: all devices are on and answer."""

    def __init__(self) -> None:
        self.has_lldp = os.geteuid() == 0 and _program("lldpd") is not None
        self._enter: list[str] = []
        self._stack = contextlib.ExitStack()
        self._agents: dict[str, list[Started]] = {}
        self._beside: dict[str, Started] = {}

    def __enter__(self) -> Self:
        missing = [name for name in _NEEDED if _program(name) is None]
        if missing:
            raise LabMissing(f"not installed: {', '.join(missing)}")
        with contextlib.ExitStack() as stack:
            self._enter = stack.enter_context(_namespaces())
            self._lay_cables()
            for node in [*NODES.values()]:
                self._start_agents(node)
            stack.callback(self._stop_all)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def at(self, node: str, *command: str) -> list[str]:
        """The command line that runs `command` in the namespace of `node`."""
        return [*self._enter, _found("ip"), "netns", "exec", node, *command]

    def do(self, node: str, script: str) -> str:
        """Runs a shell script at `node`. Returns its output."""
        return _run(self.at(node, "sh", "-ec", script))

    def link(self, node: str, port: str, up: bool) -> None:
        """An administrator enables or disables a port."""
        self.do(node, f"ip link set {port} {'up' if up else 'down'}")
        if up:
            self._set_routes(node)

    def cut(self, line: LabLine, up: bool = False) -> None:
        """The carrier's equipment for a line fails, or works again."""
        for end in ("n", "f"):
            self.do(CARRIER, f"ip link set {line.id}-{end} {'up' if up else 'down'}")
        if up:
            self._set_routes(line.near)
            self._set_routes("hall-rtr")

    def power_off(self, node: str) -> None:
        """Its agents end, and its neighbours see their ports go down."""
        for process in self._agents.pop(node, ()):
            end_group(process)
        self.do(node, _each_port(node, "down"))

    def power_on(self, node: str) -> None:
        self.do(node, _each_port(node, "up"))
        self._set_routes(node)
        self._start_agents(NODES[node])

    def kill_snmpd(self, node: str) -> None:
        end_group(self._agents[node].pop(0))

    def start_snmpd(self, node: str) -> None:
        self._agents[node].insert(0, self._start_snmpd(NODES[node]))

    def run_beside(self, name: str, node: str, *command: str) -> None:
        """Starts something that runs until `stop_beside`."""
        self._beside[name] = start_group(self.at(node, *command))

    def stop_beside(self, name: str) -> None:
        end_group(self._beside.pop(name))

    def _lay_cables(self) -> None:
        script = "".join(
            f"ip netns add {name}\nip -n {name} link set lo up\n"
            for name in (*NODES, MONITOR, CARRIER)
        )
        for cable in CABLES:
            script += _veth(cable.a, cable.a_port, cable.b, cable.b_port)
        for line in LINES:
            for end, node, port in (
                ("n", line.near, line.near_port),
                ("f", "hall-rtr", line.far_port),
            ):
                script += _veth(node, port, CARRIER, f"{line.id}-{end}")
            script += _bridge(CARRIER, line.id, [f"{line.id}-n", f"{line.id}-f"])
            script += f"ip -n {line.near} addr add {line.network}.2/30 dev "
            script += f"{line.near_port}\n"
            script += (
                f"ip -n hall-rtr addr add {line.network}.1/30 dev {line.far_port}\n"
            )
        for node in NODES.values():
            if not node.lan:
                script += _bridge(node.name, "br0", ports_of(node.name))
            port = node.lan or "br0"
            script += f"ip -n {node.name} addr add {node.address}/24 dev {port}\n"
        script += f"ip -n {MONITOR} addr add {MONITOR_ADDRESS}/24 dev eth0\n"
        _run([*self._enter, "sh", "-ec", script])
        for name in (*NODES, MONITOR):
            self.do(
                name,
                "sysctl -qw net.ipv4.conf.all.ignore_routes_with_linkdown=1 "
                "net.ipv4.conf.default.ignore_routes_with_linkdown=1 "
                "net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0\n"
                + ("sysctl -qw net.ipv4.ip_forward=1\n" if "-rtr" in name else "")
                + _each_port(name, "up"),
            )
        for name in (*NODES, MONITOR):
            self._set_routes(name)

    def _set_routes(self, node: str) -> None:
        for route in routes_of(node):
            # A port that is down has no route; it gets it when it is up again.
            self.do(node, f"ip route replace {route} 2>/dev/null || true")

    def _start_agents(self, node: Node) -> None:
        self._agents[node.name] = [self._start_snmpd(node)]
        if self.has_lldp:
            self._agents[node.name].append(self._start_lldpd(node))

    def _start_snmpd(self, node: Node) -> Started:
        folder = f"/run/lab/{node.name}"
        self.do(
            node.name,
            f"mkdir -p {folder}; cat > {folder}/snmpd.conf <<'END'\n"
            f"{snmpd_conf(node, folder)}END\n",
        )
        return self._spawn(
            node.name,
            f"export SNMP_PERSISTENT_DIR={folder} MIBS= SNMPCONFPATH={folder}\n"
            f"exec snmpd -f -Lo -C -c {folder}/snmpd.conf -p {folder}/pid udp:161",
            f"{folder}/snmpd.log",
        )

    def _start_lldpd(self, node: Node) -> Started:
        folder = f"/run/lab/{node.name}"
        self.do(node.name, f"cat > {folder}/lldpd.conf <<'END'\n{_LLDPD}END\n")
        # A WAN line's port sends nothing to the carrier.
        return self._spawn(
            node.name,
            f"rm -f {folder}/lldpd.socket*; hostname {node.name}\n"
            f"exec lldpd -d -x -X {folder}/agentx -u {folder}/lldpd.socket "
            f"-O {folder}/lldpd.conf -I 'gi*'",
            f"{folder}/lldpd.log",
        )

    def _spawn(self, node: str, script: str, log: str) -> Started:
        inside = f"exec >>{log} 2>&1 </dev/null\nPATH={_PATH}\n{script}"
        return start_group(self.at(node, "unshare", "--uts", "sh", "-c", inside))

    def _stop_all(self) -> None:
        for processes in (*self._agents.values(), self._beside.values()):
            for process in processes:
                end_group(process)


def start_group(command: Sequence[str], log: Path | None = None) -> Started:
    """Starts a process in a group of its own: nsenter forks, and what it forks must be
    reached too."""
    with (log or Path(os.devnull)).open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "PATH": _PATH},
        )


def end_group(process: Started, how: int = signal.SIGKILL) -> None:
    """Ends a process and what it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, how)
    process.wait(30)


def _each_port(node: str, state: str) -> str:
    return "".join(f"ip link set {port} {state}\n" for port in ports_of(node)) or ":"


def _veth(a: str, a_port: str, b: str, b_port: str) -> str:
    return (
        f"ip link add {a_port} netns {a} type veth peer name {b_port} netns {b}\n"
        f"ip -n {a} link set {a_port} up; ip -n {b} link set {b_port} up\n"
    )


def _bridge(node: str, name: str, ports: Sequence[str]) -> str:
    script = f"ip -n {node} link add {name} type bridge\n"
    script += "".join(f"ip -n {node} link set {p} master {name}\n" for p in ports)
    return script + f"ip -n {node} link set {name} up\n"


@contextlib.contextmanager
def _namespaces() -> Iterator[list[str]]:
    """Namespaces of their own. Yields the start of every command line in them."""
    root = os.geteuid() == 0
    command = [_found("unshare"), *([] if root else ["--user", "--map-root-user"])]
    command += ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with subprocess.Popen(
        [*command, "sh", "-c", _SETUP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": _PATH},
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stderr is not None
        try:
            if holder.stdout.readline().strip() != "ready":
                holder.stdin.close()
                error = holder.stderr.read().strip()
                raise LabMissing(f"no network namespaces here: {error}")
            inner = _only_child(holder.pid)
            enter = [_found("nsenter"), "-t", str(inner), "-n", "-m", "-p"]
            yield [*enter, *([] if root else ["-U", "--preserve-credentials"]), "--"]
        finally:
            holder.stdin.close()
            try:
                holder.wait(20)
            except subprocess.TimeoutExpired:
                holder.kill()


def _only_child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        if found := children.read_text().split():
            return int(found[0])
        time.sleep(0.01)
    raise LabMissing("unshare started nothing")


def _program(name: str) -> str | None:
    return shutil.which(name, path=_PATH)


def _found(name: str) -> str:
    return _program(name) or name


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PATH": _PATH},
    )
    if done.returncode:
        raise RuntimeError(f"failed: {done.stderr.strip()}\n{command[-1]}")
    return done.stdout
