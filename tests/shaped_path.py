"""A path with known faults: two network namespaces with a veth pair between them.
nftables drops packets (in the `input` hook, so the sender gets no error) and the token
bucket of tc limits the rate. It runs in a user namespace, so it needs no root if the
system allows that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from services import absent, program

NEAR, FAR = "10.99.0.1", "10.99.0.2"
TUNNEL_NEAR, TUNNEL_FAR = "10.88.0.2", "10.88.0.1"
NEAR6, FAR6 = "fd00:99::1", "fd00:99::2"
_MAKE = f"""set -e
mount -t tmpfs none /run
mount -t sysfs none /sys
ip netns add far
ip link add near0 type veth peer name far0 netns far
echo 0 > /proc/sys/net/ipv6/conf/near0/accept_dad
ip netns exec far sh -c 'echo 0 > /proc/sys/net/ipv6/conf/far0/accept_dad'
ip addr add {NEAR}/24 dev near0; ip -6 addr add {NEAR6}/64 dev near0 nodad
ip link set near0 up; ip link set lo up
ip -n far addr add {FAR}/24 dev far0; ip -n far -6 addr add {FAR6}/64 dev far0 nodad
ip -n far link set far0 up; ip -n far link set lo up
echo ready
exec cat
"""


class ShapedPath:
    """Runs commands at its near end (`near`) or far end (`far`)."""

    def __init__(self, pid: int) -> None:
        self._enter = [program("nsenter"), "-t", str(pid), "-U", "-n", "-m"]
        self._enter += ["--preserve-credentials", "--"]

    def near(self, *command: str) -> list[str]:
        return [*self._enter, *command]

    def far(self, *command: str) -> list[str]:
        return [*self._enter, program("ip"), "netns", "exec", "far", *command]

    def lose(self, out_percent: float = 0, in_percent: float = 0) -> None:
        """Drops UDP at random, outbound and inbound."""
        for end, percent in ((self.far, out_percent), (self.near, in_percent)):
            by_chance = f"numgen random mod 10000 < {round(percent * 100)}"
            rule = f"meta l4proto udp {'' if percent == 100 else by_chance} drop"
            rules = ["flush ruleset"]
            if percent:
                rules += [
                    "table inet faults {",
                    "chain input {",
                    "type filter hook input priority 0",
                    rule,
                    "}",
                    "}",
                ]
            self._do(end("nft", "-f", "-"), "\n".join(rules) + "\n")

    def refuse_udp(self) -> None:
        """Acts as a firewall that drops UDP and passes TCP."""
        self.lose(out_percent=100)

    def limit(self, down_mbps: float, up_mbps: float) -> None:
        for end, device, mbps in (
            (self.far, "far0", down_mbps),
            (self.near, "near0", up_mbps),
        ):
            shape = ["rate", f"{mbps}mbit", "burst", "16kb", "latency", "60ms"]
            self._do(
                end("tc", "qdisc", "replace", "dev", device, "root", "tbf", *shape)
            )

    def measure(self, probe: str, *args: Any, **kwargs: Any) -> Any:
        """Runs one measurement at the near end. Returns the fields of its `Result`."""
        request = json.dumps([probe, list(args), kwargs])
        return json.loads(
            self._do(self.near(sys.executable, __file__, "measure"), request)
        )

    @contextlib.contextmanager
    def reflector(self, *addresses: str) -> Iterator[dict[str, int]]:
        """Runs a reflector at the far end. Yields its ports."""
        with subprocess.Popen(
            self.far(sys.executable, __file__, "reflector", *addresses),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                yield json.loads(process.stdout.readline())
            finally:
                process.stdin.close()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()

    @contextlib.contextmanager
    def tunnel(self, mtu_byte: int = 1400) -> Iterator[None]:
        """Runs a VPN between both ends, one process at each: `tun0` with TUNNEL_NEAR
        and TUNNEL_FAR."""
        script = str(Path(__file__).with_name("small_vpn.py"))
        common = [sys.executable, script, "tun0"]
        with contextlib.ExitStack() as stack:
            for end, inner, own, other in (
                (self.far, TUNNEL_FAR, FAR, NEAR),
                (self.near, TUNNEL_NEAR, NEAR, FAR),
            ):
                command = end(*common, f"{inner}/24", str(mtu_byte), own, other)
                process = stack.enter_context(
                    subprocess.Popen(
                        command,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        text=True,
                    )
                )
                assert process.stdin is not None
                assert process.stdout is not None
                assert process.stderr is not None
                stack.callback(process.wait, 20)
                stack.callback(process.stdin.close)
                if process.stdout.readline().strip() != "ready":
                    absent(f"no tunnels here: {process.stderr.read().strip()[-300:]}")
            yield

    def run(self, command: list[str], stdin: str = "") -> str:
        """Returns what `command` (from `near` or `far`) prints; fails if it fails."""
        return self._do(command, stdin)

    def _do(self, command: list[str], stdin: str = "") -> str:
        finished = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert finished.returncode == 0, f"{command}: {finished.stderr}"
        return finished.stdout


@contextlib.contextmanager
def shaped_path() -> Iterator[ShapedPath]:
    """A path without faults so far. If it cannot be made, skips, or fails in CI."""
    for name in ("ip", "nft", "tc", "nsenter"):
        program(name)
    command = [program("unshare"), "--user", "--map-root-user", "--net", "--mount"]
    with subprocess.Popen(
        [*command, "sh", "-c", _MAKE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stderr is not None
        try:
            if holder.stdout.readline().strip() != "ready":
                holder.stdin.close()
                absent(f"no network namespaces here: {holder.stderr.read().strip()}")
            yield ShapedPath(holder.pid)
        finally:
            holder.stdin.close()
            holder.wait(20)


async def _reflect(addresses: list[str]) -> None:
    from collectors.reflector import ReflectorConfig, ReflectorService

    config = ReflectorConfig(
        addresses=tuple(addresses),
        stamp_port=0,
        web_port=8080,
        access="open",
        tests_bps=1e12,
    )
    async with ReflectorService(config, test_seconds=3.0) as reflector:
        ports = {"stamp": reflector.stamp_port, "web": reflector.web_port}
        sys.stdout.write(json.dumps(ports) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


async def _measure() -> None:
    from probe_runs import reflector_at, run_call_path, run_path

    from probes.measure import bandwidth

    probe, args, kwargs = json.loads(sys.stdin.read())
    if probe == "bandwidth":
        result = await bandwidth.measure(*args, **kwargs, now_ms=lambda: 0)
    else:
        id, host, *port = args
        at = reflector_at(host, *port, tcp_port=kwargs.pop("tcp_port", None), id=id)
        run = run_call_path if probe == "call_path" else run_path
        result = await run(at, **kwargs)
    sys.stdout.write(msgspec.json.encode(result).decode())


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    if sys.argv[1] == "reflector":
        import logging

        import structlog

        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
        asyncio.run(_reflect(sys.argv[2:]))
    else:
        asyncio.run(_measure())
