"""Where the laptop is, on real networks: a beacon over the line, through a full tunnel,
by IPv6, and a sign-in page that answers for every name."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shaped_path import FAR, FAR6, NEAR, NEAR6, TUNNEL_FAR, ShapedPath, shaped_path

from collectors.ingest.certificate import make_certificates

LAPTOP = str(Path(__file__).with_name("laptop_in_namespace.py"))


@contextlib.contextmanager
def beacon(path: ShapedPath, tls: Path, says: str = "") -> Iterator[None]:
    """The council's beacon at the far end, on all addresses, port 8443."""
    with subprocess.Popen(
        path.far(sys.executable, LAPTOP, "beacon", str(tls), says),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        yield
        process.stdin.close()
        process.wait(20)


@pytest.mark.netns
def test_the_beacon_makes_an_office_over_the_line_and_never_through_a_tunnel(
    tmp_path: Path,
) -> None:
    made = make_certificates(tmp_path / "tls", (FAR, FAR6, TUNNEL_FAR))
    with shaped_path() as path, beacon(path, tmp_path / "tls"):

        def where(url: str, folder: str, ca: Path = made.authority) -> Any:
            (tmp_path / folder).mkdir(exist_ok=True)
            command = [sys.executable, LAPTOP, "place", url, str(ca)]
            return json.loads(path.run(path.near(*command, str(tmp_path / folder))))

        for at in (FAR, f"[{FAR6}]"):
            place = where(f"https://{at}:8443/", "fresh")
            assert place["whereabouts"]["place"] == "office", place
            assert place["whereabouts"]["site"] == "hall"
        # Without TLS anybody could answer for it; with another's certificate too.
        assert (
            where(f"http://{FAR}:8443/", "plain")["whereabouts"]["place"] == "unknown"
        )
        other = make_certificates(tmp_path / "portal", (FAR,)).authority
        place = where(f"https://{FAR}:8443/", "portal", other)
        assert place["whereabouts"]["place"] == "unknown"
        assert "did not answer" in place["reason"]

        with path.tunnel():
            url = f"https://{TUNNEL_FAR}:8443/"
            place = where(url, "home")
            assert place["whereabouts"] == {
                "place": "unknown", "site": "", "connection": "unknown", "vpn": "up",
            }  # fmt: skip
            assert "through the VPN" in place["reason"]
            # A full tunnel: even the beacon's own address goes through it.
            for rule in (
                ("route", "add", "default", "dev", "tun0", "table", "51820"),
                ("rule", "add", "to", FAR, "dport", "8443", "table", "51820"),
            ):
                path.run(path.near("ip", *rule))
            place = where(f"https://{FAR}:8443/", "home")
            assert place["whereabouts"]["place"] == "unknown", place
            # At the office with the tunnel up, and a way to the beacon beside it.
            place = where(f"https://[{FAR6}]:8443/", "desk")
            assert place["whereabouts"]["place"] == "office"
            assert place["whereabouts"]["vpn"] == "up"


@pytest.mark.netns
def test_a_network_with_ipv6_alone_is_an_office_and_known_again(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "tls", (FAR6,))
    with shaped_path() as path:
        url = f"https://[{FAR6}]:8443/"
        asked = path.near(
            sys.executable, LAPTOP, "place", url, str(made.authority), str(tmp_path)
        )
        path.run(path.near("ip", "addr", "flush", "dev", "near0", "scope", "global"))
        added = ("ip", "-6", "addr", "add", f"{NEAR6}/64", "dev", "near0", "nodad")
        path.run(path.near(*added))
        path.run(path.near("ip", "-6", "route", "add", "default", "via", FAR6))
        with beacon(path, tmp_path / "tls"):
            place = json.loads(path.run(asked))
            assert place["whereabouts"]["place"] == "office", place
        # The beacon's line is dead; the router is the same.
        place = json.loads(path.run(asked))
        assert place["whereabouts"]["place"] == "office", place
        assert "before" in place["reason"]


@pytest.mark.netns
def test_a_translated_address_is_no_proof(tmp_path: Path) -> None:
    """IPsec by policy and filter drivers take packets from the physical interface's own
    address; the beacon then sees another one."""
    made = make_certificates(tmp_path / "tls", (FAR,))
    with shaped_path() as path, beacon(path, tmp_path / "tls", "seen"):
        command = [sys.executable, LAPTOP, "place", f"https://{FAR}:8443/"]
        asked = path.near(*command, str(made.authority), str(tmp_path))
        assert json.loads(path.run(asked))["whereabouts"]["place"] == "office"
        (tmp_path / "places.json").unlink(missing_ok=True)
        path.run(path.near("ip", "addr", "add", "10.99.0.77/24", "dev", "near0"))
        path.run(
            path.near("nft", "-f", "-"),
            "table ip nat {\nchain out {\ntype nat hook postrouting priority 100\n"
            f"ip saddr {NEAR} tcp dport 8443 snat to 10.99.0.77\n}}\n}}\n",
        )
        place = json.loads(path.run(asked))
        assert place["whereabouts"]["place"] == "unknown", place
