"""A real tunnel for the tests: a tun device whose packets travel over UDP.

`python small_vpn.py DEVICE ADDRESS/PREFIX MTU LOCAL REMOTE` creates the device and
carries packets until its standard input ends. It runs in a network namespace of the
tests.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys

_SET_NAME = 0x400454CA
_TUN_WITHOUT_HEADER = 0x1001
_PORT = 51_820


def main(name: str, address: str, mtu: str, local: str, remote: str) -> None:
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(
        device, _SET_NAME, struct.pack("16sH22x", name.encode(), _TUN_WITHOUT_HEADER)
    )
    for command in (
        ["addr", "add", address, "dev", name],
        ["link", "set", name, "mtu", mtu, "up"],
    ):
        subprocess.run(["ip", *command], check=True)
    outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    outside.bind((local, _PORT))
    outside.connect((remote, _PORT))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        ready, _, _ = select.select([device, outside, sys.stdin], [], [])
        if sys.stdin in ready and not sys.stdin.read(1):
            return
        try:
            if device in ready:
                outside.send(os.read(device, 65_535))
            if outside in ready:
                os.write(device, outside.recv(65_535))
        except OSError:
            # The other end is not there, at least not yet.
            continue


if __name__ == "__main__":
    main(*sys.argv[1:])
