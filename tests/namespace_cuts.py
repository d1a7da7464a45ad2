"""A network between servers that is cut, if each has a namespace of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence


def cut(namespace: str, others: Sequence[str]) -> None:
    """Drops everything between a namespace and these addresses, and nothing else;
    without any, the cut is over."""
    rules = "flush ruleset\n"
    if others:
        peers = ", ".join(others)
        rules += (
            "table ip cut {\n"
            "chain i { type filter hook input priority 0\n"
            f"ip saddr {{ {peers} }} drop\n }}\n"
            "chain o { type filter hook output priority 0\n"
            f"ip daddr {{ {peers} }} drop\n }}\n }}\n"
        )
    command = ["ip", "netns", "exec", namespace, "nft", "-f", "-"]
    subprocess.run(command, input=rules, text=True, check=True)
