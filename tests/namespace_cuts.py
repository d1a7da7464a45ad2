"""A network between servers that is cut, if each has a namespace of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Literal


def cut(
    namespace: str,
    others: Sequence[str],
    way: Literal["both", "in", "out"] = "both",
) -> None:
    """Drops everything between a namespace and these addresses, or one `way` of it, and
    nothing else; without any, the cut is over."""
    rules = "flush ruleset\n"
    if others:
        peers = ", ".join(others)
        rules += "table ip cut {\n"
        if way != "out":
            rules += (
                "chain i { type filter hook input priority 0\n"
                f"ip saddr {{ {peers} }} drop\n }}\n"
            )
        if way != "in":
            rules += (
                "chain o { type filter hook output priority 0\n"
                f"ip daddr {{ {peers} }} drop\n }}\n"
            )
        rules += "}\n"
    command = ["ip", "netns", "exec", namespace, "nft", "-f", "-"]
    subprocess.run(command, input=rules, text=True, check=True)
