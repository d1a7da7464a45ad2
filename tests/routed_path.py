"""The path from a home to the council through routers: four network namespaces in a
row, in a user namespace. The Linux kernel routes, and limits its answers as real
routers do.

home 192.168.1.10 - router - 100.64.0.1 provider 81.2.69.1 - council 81.2.69.142
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

from services import absent, program
from shaped_path import ShapedPath

GATEWAY, PROVIDER, COUNCIL = "192.168.1.1", "100.64.0.1", "81.2.69.142"
GATEWAY6, COUNCIL6 = "fd00:1::1", "2a02:3::2"
_MAKE = f"""set -e
mount -t tmpfs none /run
for name in router provider far; do ip netns add $name; done
ip link add near0 type veth peer name lan netns router
ip -n router link add wan type veth peer name access netns provider
ip -n provider link add core type veth peer name far0 netns far
put() {{ # namespace, device, address, IPv6 address
  ip $1 addr add $3 dev $2; ip $1 -6 addr add $4 dev $2 nodad; ip $1 link set $2 up
  ip $1 link set lo up
}}
put "" near0 192.168.1.10/24 fd00:1::10/64
put "-n router" lan {GATEWAY}/24 {GATEWAY6}/64
put "-n router" wan 100.64.0.2/24 2a02:2::2/64
put "-n provider" access {PROVIDER}/24 2a02:2::1/64
put "-n provider" core 81.2.69.1/24 2a02:3::1/64
put "-n far" far0 {COUNCIL}/24 {COUNCIL6}/64
for name in router provider; do
  ip netns exec $name sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
done
ip route add default via {GATEWAY}; ip -6 route add default via {GATEWAY6}
ip -n router route add default via {PROVIDER}
ip -n router -6 route add default via 2a02:2::1
ip -n provider route add 192.168.1.0/24 via 100.64.0.2
ip -n provider -6 route add fd00:1::/64 via 2a02:2::2
ip -n far route add default via 81.2.69.1; ip -n far -6 route add default via 2a02:3::1
echo ready
exec cat
"""


class RoutedPath(ShapedPath):
    """Also runs commands on the routers: `at("router", …)`, `at("provider", …)`."""

    def at(self, name: str, *command: str) -> list[str]:
        return [*self.near(program("ip"), "netns", "exec", name), *command]

    def ration(self, rationed: bool) -> None:
        """Sets whether the routers answer at most once a second, the Linux default."""
        every_ms = 1000 if rationed else 0
        for name in ("router", "provider"):
            for setting in ("net.ipv4.icmp_ratelimit", "net.ipv6.icmp.ratelimit"):
                self._do(self.at(name, "sysctl", "-qw", f"{setting}={every_ms}"))

    def rules(self, name: str, *rules: str) -> None:
        """Sets what `name` (router, provider, far) drops: nftables rules for the hooks
        `input` and `forward`."""
        text = "flush ruleset\n"
        if rules:
            chains = "".join(
                f"chain {hook} {{\ntype filter hook {hook} priority 0\n{rule}\n}}\n"
                for hook, _, rule in (rule.partition(" ") for rule in rules)
            )
            text += f"table inet faults {{\n{chains}}}\n"
        self._do(self.at(name, "nft", "-f", "-"), text)


@contextlib.contextmanager
def routed_path() -> Iterator[RoutedPath]:
    """A path without faults so far. If it cannot be made, skips, or fails in CI."""
    for name in ("ip", "nft", "nsenter"):
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
            yield RoutedPath(holder.pid)
        finally:
            holder.stdin.close()
            holder.wait(20)
