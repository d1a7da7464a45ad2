"""The selftest bundle holds nothing about a person, a network or a machine, and parsers
still read the redacted output."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.agent.selftest import SystemSnapshot, bundle, leaks
from probes.diagnosis.redaction import Redactor
from probes.platforms import iw, linux_tools, macos_tools, netsh, powershell
from probes.platforms import system_profiler as profiler
from probes.platforms.system_facts import Interface, WifiLink
from probes.wire.failure import Outcome
from probes.wire.report import Result

DATA = Path(__file__).parent / "data" / "platforms"
CORPUS = Path(__file__).parents[1] / ".." / "shared" / "corpus" / "endpoint"
PLANTED = {
    "ssid": "Jones Family 5G",
    "other ssid": "VM4410273",
    "bssid": "3c:a6:2f:11:22:33",
    "mac": "a4-b1-c1-d1-e1-f1",
    "user": "gwendolen.jones",
    "host": "GWENS-LAPTOP",
    "domain": "jones-family.example",
    "server": "vpn.bedrock.example",
    "vpn": "Bedrock Council",
    "address": "192.168.178.23",
    "public": "81.2.69.142",
    "six": "2a02:8010:6001:12:1c2d:3e4f:5061:7283",
    "link six": "fe80::3ea6:2fff:fe11:2233",
    "guid": "5EE0C50C-A32F-4B57-A4B1-28C9801C0FEC",
    "serial": "C02XK0AAJGH5",
}
OUTPUTS = {
    "netsh": f"""
    Name                   : Wi-Fi
    Description            : Gwendolen.Jones USB
    GUID                   : {PLANTED["guid"].lower()}
    Physical address       : {PLANTED["mac"]}
    State                  : connected
    SSID                   : {PLANTED["ssid"]}
    BSSID                  : {PLANTED["bssid"]}
    Network type           : Infrastructure
    Radio type             : 802.11ax
    Authentication         : WPA2-Personal
    Channel                : 36
    Receive rate (Mbps)    : 866.7
    Transmit rate (Mbps)   : 780
    Signal                 : 84%
    Profil                 : {PLANTED["ssid"]}
""",
    "iw-dev": f"""phy#0
	Interface wlan0
		ifindex 3
		addr {PLANTED["bssid"]}
		ssid {PLANTED["ssid"]}
		type managed
		channel 36 (5180 MHz), width: 80 MHz, center1: 5210 MHz
		txpower 22.00 dBm
""",
    "iw-link": f"""Connected to {PLANTED["bssid"]} (on wlan0)
	SSID: {PLANTED["ssid"]}
	freq: 5180
	RX: 145333 bytes (398 packets)
	TX: 82833 bytes (508 packets)
	signal: -57 dBm
	rx bitrate: 433.3 MBit/s VHT-MCS 9 80MHz short GI VHT-NSS 1
	tx bitrate: 325.0 MBit/s VHT-MCS 7 80MHz VHT-NSS 1
""",
    "system-profiler": f"""Wi-Fi:

      Interfaces:
        en0:
          Card Type: Wi-Fi  (0x14E4, 0x4387)
          MAC Address: {PLANTED["bssid"]}
          Country Code: GB
          Status: Connected
          Current Network Information:
            {PLANTED["ssid"]}:
              PHY Mode: 802.11ac
              Channel: 44 (5GHz, 80MHz)
              Network Type: Infrastructure
              Security: WPA2 Personal
              Signal / Noise: -58 dBm / -91 dBm
              Transmit Rate: 650
              MCS Index: 7
          Other Local Wi-Fi Networks:
            {PLANTED["other ssid"]}:
              PHY Mode: 802.11ax
            Foo: {PLANTED["other ssid"]}:
              PHY Mode: 802.11ax
""",
    "ip-addr": json.dumps(
        [
            {
                "ifindex": 2,
                "ifname": "wlx3ca62f112233",
                "flags": ["BROADCAST", "UP", "LOWER_UP"],
                "mtu": 1500,
                "operstate": "UP",
                "link_type": "ether",
                "address": PLANTED["bssid"],
                "ifalias": PLANTED["user"],
                "addr_info": [
                    {"family": "inet", "local": PLANTED["address"], "prefixlen": 24},
                    {"family": "inet6", "local": PLANTED["six"], "prefixlen": 64},
                    {"family": "inet6", "local": PLANTED["link six"], "prefixlen": 64},
                ],
            }
        ]
    ),
    "get-vpnconnection": f"""
Name                  : {PLANTED["vpn"]}
ServerAddress         : {PLANTED["server"]}
Guid                  : {{{PLANTED["guid"]}}}
TunnelType            : Ikev2
ConnectionStatus      : Connected
SplitTunneling        : True
DnsSuffix             : {PLANTED["domain"]}
""",
    "get-netadapter": json.dumps(
        [
            {
                "Name": PLANTED["ssid"],
                "InterfaceDescription": f"{PLANTED['user']}'s phone",
                "SystemName": PLANTED["host"],
                "MacAddress": PLANTED["mac"],
                "Status": "Up",
                "LinkSpeed": "866.7 Mbps",
                PLANTED["other ssid"] + " of": 1,
            }
        ]
    ),
    "scutil-nc": f'* (Connected)   {PLANTED["guid"]} IPSec      "{PLANTED["vpn"]}"'
    "   [IPSec]\n",
    "scutil-dns": f"""resolver #1
  search domain[0] : {PLANTED["domain"]}
  nameserver[0] : {PLANTED["public"]}
  nameserver[1] : {PLANTED["six"]}
  if_index : 6 (en0)
  flags    : Request A records
""",
    "scutil-proxy": f"""<dictionary> {{
  HTTPSEnable : 1
  HTTPSProxy : {PLANTED["server"]}
  HTTPSPort : 8080
}}
""",
    "ifconfig": f"""en0: flags=8863<UP,BROADCAST,SMART,RUNNING,MULTICAST> mtu 1500
	ether {PLANTED["bssid"]}
	inet6 {PLANTED["link six"]}%en0 prefixlen 64 secured scopeid 0x6
	inet {PLANTED["address"]} netmask 0xffffff00 broadcast 192.168.178.255
	status: active
""",
    "hardware-ports": f"""
Hardware Port: {PLANTED["user"]} iPhone
Device: en7
Ethernet Address: {PLANTED["bssid"]}
""",
    "netstat": f"""Routing tables
Internet:
Destination        Gateway            Flags        Netif Expire
default            {PLANTED["address"]}     UGScg          en0
{PLANTED["public"]}/32     {PLANTED["bssid"]}  UHLWI   en0   1199
{PLANTED["host"]}   link#6   UHS   lo0
""",
    "nmcli": "802-11-wireless:activated\n",
}  # fmt: skip
FACTS = Interface(
    f"en-{PLANTED['user']}",
    description=f"{PLANTED['host']} {PLANTED['ssid']}",
    driver="iwlwifi",
    addresses=(PLANTED["address"], PLANTED["six"]),
    networks=(f"{PLANTED['address']}/24",),
    gateway=PLANTED["link six"],
    resolvers=(PLANTED["public"],),
)
LINK = WifiLink(True, interface="wlx3ca62f112233", signal_dbm=-57, cell="abcd1234")


def bare(text: str) -> str:
    return re.sub(r"[^0-9a-z]", "", text.lower())


def test_no_planted_name_or_address_is_in_the_bundle() -> None:
    snapshot = SystemSnapshot(
        [FACTS],
        [LINK],
        [Result("vpn", 1, 0, Outcome.OK, PLANTED["server"], {"up": 1})],
        {tool: text.encode() for tool, text in OUTPUTS.items()},
    )
    files = bundle(snapshot, "towpath-agent/1", [PLANTED["host"], PLANTED["user"]])
    assert all(b"left out" not in body for body in files.values())
    for name, body in files.items():
        text = body.decode()
        for kind, secret in PLANTED.items():
            assert secret.lower() not in text.lower(), (name, kind)
            # Nor with other punctuation, nor a revealing part of it.
            assert bare(secret) not in bare(text), (name, kind)
        for part in ("jones", "gwen", "bedrock", "3ca62f", "abcd1234", "-laptop"):
            assert part not in bare(text) or part not in text.lower(), (name, part)


def test_a_file_that_still_holds_a_secret_is_left_out() -> None:
    snapshot = SystemSnapshot([], [], [], {"nmcli": b"wifi:activated\nenabled\n"})
    # The machine has the name of a word that the tool prints.
    files = bundle(snapshot, "towpath-agent/1", ["Enabled"])
    assert b"left out" in files["tools/nmcli.txt"]
    assert b"left out" not in files["wifi.json"]
    assert leaks(b"... OSCAR ...", ["oscar"])
    assert not leaks(b"moscars oscars", ["oscar"])


def test_parsers_read_the_same_figures_from_redacted_output() -> None:
    def redacted(tool: str) -> bytes:
        return Redactor().output(tool, OUTPUTS[tool].encode())

    def figures(links: object) -> list[tuple[object, ...]]:
        assert not isinstance(links, Outcome), links
        return [
            (link.connected, link.signal_dbm, link.quality_ratio, link.rx_bps,
             link.tx_bps, link.channel, link.band_ghz, link.standard)
            for link in (links if isinstance(links, list) else [links])
        ]  # fmt: skip

    for tool, parse in (
        ("netsh", netsh.parse_netsh_wlan),
        ("iw-link", iw.parse_iw_link),
        ("system-profiler", profiler.parse_system_profiler),
    ):
        raw = OUTPUTS[tool].encode()
        assert figures(parse(redacted(tool), b"k")) == figures(parse(raw, b"k")), tool
    vpn = powershell.parse_get_vpnconnection(redacted("get-vpnconnection"))
    assert not isinstance(vpn, Outcome)
    assert [connection.state for connection in vpn] == ["up"]
    assert iw.parse_iw_dev(redacted("iw-dev")) == iw.parse_iw_dev(
        OUTPUTS["iw-dev"].encode()
    )
    (interface,) = linux_tools.parse_ip_addr(redacted("ip-addr"))  # type: ignore[misc]
    assert len(interface.addresses) == 3
    assert interface.up
    proxy = macos_tools.parse_scutil_proxy(redacted("scutil-proxy"))
    assert proxy == macos_tools.parse_scutil_proxy(
        OUTPUTS["scutil-proxy"]
        .replace(PLANTED["server"], "xxx.xxxxxxx.xxxxxxx")
        .encode()
    )


@pytest.mark.corpus
@pytest.mark.parametrize(
    "path", sorted(CORPUS.glob("netsh_wlan_*.txt")), ids=lambda path: path.stem
)
def test_recorded_outputs_can_be_parsed_in_every_language_once_redacted(
    path: Path,
) -> None:
    raw = path.read_bytes()
    redacted = Redactor().output("netsh", raw)
    before, after = netsh.parse_netsh_wlan(raw), netsh.parse_netsh_wlan(redacted)
    assert isinstance(before, list) == isinstance(after, list)
    if isinstance(before, list) and isinstance(after, list):
        assert [(link.signal_dbm, link.channel, link.rx_bps) for link in before] == [
            (link.signal_dbm, link.channel, link.rx_bps) for link in after
        ]
    names = re.findall(rb"(?m)^\s*SSID\s*:\s*(.*?)\s*$", raw)
    assert all(name not in redacted for name in names if len(name) > 3)


@given(
    st.text(
        st.characters(min_codepoint=32, max_codepoint=0x4FF), min_size=4, max_size=32
    ).filter(
        lambda name: bool(re.search(r"[^\W\d_]{3}", name)) and name == name.strip()
    )
)
def test_no_network_name_survives_whatever_it_is(name: str) -> None:
    for tool in ("netsh", "iw-dev", "iw-link"):
        text = OUTPUTS[tool].replace(PLANTED["ssid"], name)
        redacted = Redactor().output(tool, text.encode()).decode("utf-8", "replace")
        shown = [line for line in redacted.splitlines() if "ssid" in line.lower()]
        label = r"(?i)^\s*b?ssid\s*:?\s*"
        assert all(name not in re.sub(label, "", line) for line in shown), tool


@given(st.sampled_from(sorted(OUTPUTS)), st.binary(max_size=200))
def test_no_output_breaks_the_redactor(tool: str, noise: bytes) -> None:
    raw = OUTPUTS[tool].encode()
    for at in (0, len(raw) // 2):
        assert isinstance(Redactor().output(tool, raw[:at] + noise + raw[at:]), bytes)


def test_the_command_lists_the_files_and_writes_the_bundle(tmp_path: Path) -> None:
    out = tmp_path / "bundle.zip"
    finished = subprocess.run(
        [sys.executable, "-m", "probes.agent.agent_cli", "selftest", "--out", out],
        env={"TOWPATH_AGENT_STATE_FOLDER": str(tmp_path / "state"), "PATH": "/bin"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.index("Removed:") < finished.stdout.index("Written to")
    assert out.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(out) as archive:
        names = archive.namelist()
        assert "towpath-selftest/README.txt" in names
        about = json.loads(archive.read("towpath-selftest/about.json"))
        assert about["software"].startswith("towpath-agent/")
        for name in names:
            assert name.split("/", 1)[1] in finished.stdout
