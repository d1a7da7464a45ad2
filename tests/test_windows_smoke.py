"""The agent on Windows CPython under Wine. What Wine cannot show (Wi-Fi, PowerShell's
and netsh's output, SendARP) stays "not run on real Windows" in docs/platforms.md."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import services
from ingest_council import door
from ndt7_reflector import make_certificate
from waiting import until
from windows_python import WindowsLaptop, windows_laptop

from collectors.ingest.ingest_config import (
    PolicyConfig,
    ServiceConfig,
    TeamsRelayConfig,
)
from probes import platforms
from probes.measure.active_interface import local_address
from probes.wire.clock import wall_ms

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]
# Our names for the members of the structures in the headers of Windows.
STRUCTURES = {
    "iphlpapi._SocketAddress": "SOCKET_ADDRESS address=lpSockaddr "
    "length=iSockaddrLength",
    "iphlpapi._AddressEntry": "IP_ADAPTER_DNS_SERVER_ADDRESS_XP length=Length "
    "flags=Reserved next=Next address=Address",
    "iphlpapi._Unicast": "IP_ADAPTER_UNICAST_ADDRESS_LH length=Length flags=Flags "
    "next=Next address=Address origins=PrefixOrigin lifetimes=ValidLifetime "
    "prefix=OnLinkPrefixLength",
    "iphlpapi._Adapter": "IP_ADAPTER_ADDRESSES_LH length=Length index=IfIndex "
    "next=Next guid=AdapterName unicast=FirstUnicastAddress "
    "anycast=FirstAnycastAddress "
    "multicast=FirstMulticastAddress dns=FirstDnsServerAddress suffix=DnsSuffix "
    "description=Description name=FriendlyName physical=PhysicalAddress "
    "physical_length=PhysicalAddressLength flags=Flags mtu=Mtu if_type=IfType "
    "status=OperStatus index6=Ipv6IfIndex zones=ZoneIndices prefixes=FirstPrefix "
    "tx_bps=TransmitLinkSpeed rx_bps=ReceiveLinkSpeed wins=FirstWinsServerAddress "
    "gateways=FirstGatewayAddress metric=Ipv4Metric metric6=Ipv6Metric",
    "iphlpapi._IfRow": "MIB_IF_ROW2 luid=InterfaceLuid index=InterfaceIndex "
    "guid=InterfaceGuid alias=Alias description=Description "
    "physical_length=PhysicalAddressLength physical=PhysicalAddress mtu=Mtu "
    "if_type=Type kinds=TunnelType flags=InterfaceAndOperStatusFlags "
    "states=OperStatus network=NetworkGuid connection=ConnectionType "
    "speeds_bps=TransmitLinkSpeed in_octets=InOctets in_packets=InUcastPkts "
    "in_other_packets=InNUcastPkts in_discards=InDiscards in_errors=InErrors "
    "in_details=InUnknownProtos out_octets=OutOctets out_packets=OutUcastPkts "
    "out_other_packets=OutNUcastPkts out_discards=OutDiscards "
    "out_errors=OutErrors out_details=OutUcastOctets",
    "windows_load.MemoryStatus": "MEMORYSTATUSEX size=dwLength load=dwMemoryLoad "
    "amounts=ullTotalPhys",
    "windows_load.PowerStatus": "SYSTEM_POWER_STATUS line=ACLineStatus "
    "flag=BatteryFlag percent=BatteryLifePercent saver= left_s=BatteryLifeTime "
    "full_s=BatteryFullLifeTime",
    "windows_load.ProcessMemory": "PROCESS_MEMORY_COUNTERS size=cb "
    "faults=PageFaultCount largest=PeakWorkingSetSize resident=WorkingSetSize "
    "rest=QuotaPeakPagedPoolUsage",
    "winhttp._AutoProxyOptions": "WINHTTP_AUTOPROXY_OPTIONS flags=dwFlags "
    "detect=dwAutoDetectFlags script=lpszAutoConfigUrl reserved=lpvReserved "
    "more=dwReserved log_on=fAutoLogonIfChallenged",
    "winhttp._ProxyInfo": "WINHTTP_PROXY_INFO access=dwAccessType proxy=lpszProxy "
    "bypass=lpszProxyBypass",
    "windows_tracer.Options": "IP_OPTION_INFORMATION ttl=Ttl tos=Tos flags=Flags "
    "size=OptionsSize data=OptionsData",
}
# Only read, where Windows points to: their ends may be missing.
LISTED_BY_WINDOWS = {
    "SOCKET_ADDRESS",
    "IP_ADAPTER_DNS_SERVER_ADDRESS_XP",
    "IP_ADAPTER_UNICAST_ADDRESS_LH",
    "IP_ADAPTER_ADDRESSES_LH",
}


# Documented, but in no header of mingw-w64.
WITHOUT_HEADER = {"windows_load.ProcessorPower"}


@pytest.fixture(scope="module")
def laptop() -> WindowsLaptop:
    return windows_laptop()


@pytest.fixture(scope="module")
def facts(
    laptop: WindowsLaptop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    here = tmp_path_factory.mktemp("downloads")
    # What a person may have in the folder from which the agent is started.
    for planted in ("netsh.exe", "winhttp.dll", "iphlpapi.dll"):
        shutil.copy(services.program("ip"), here / planted)
    make_certificate(here, datetime.now(UTC))
    planted = laptop.drive / "ProgramData" / "towpath-planted"
    planted.mkdir(parents=True, exist_ok=True)
    for name in ("own.toml", "other.toml"):
        (planted / name).write_text("server = 'https://planted.example'\n")
    if os.getuid() == 0:
        os.chown(planted / "other.toml", 65_534, -1)
    code = Path(__file__).with_name("windows_facts.py").read_text("utf-8")
    yield laptop.value(code, here)
    for folder in (planted, planted.with_name("towpath-agent")):
        shutil.rmtree(folder, ignore_errors=True)


def test_errors_have_the_outcomes_that_they_have_elsewhere(
    facts: dict[str, Any],
) -> None:
    assert facts["errors"] == {
        "closed port": "refused",
        "no such name": "name_not_found",
    }
    assert facts["round_trips_ms"] > 0


def test_names_are_looked_up_at_the_resolvers_of_this_laptop(
    facts: dict[str, Any],
) -> None:
    # The systems number interfaces differently.
    theirs, ours = (
        [address.partition("%")[0] for address in listed]
        for listed in (facts["resolvers"], platforms.resolvers())
    )
    assert theirs == ours
    if facts["resolvers"]:
        assert facts["lookup"] in {"name_not_found", "timeout", "name_server_failed"}
    else:
        assert facts["lookup"] == "no_network"


def test_interfaces_and_routes_are_those_of_this_machine(
    facts: dict[str, Any],
) -> None:
    here = platforms.interfaces()
    assert isinstance(here, list)
    assert {i.name for i in here if i.up and i.addresses} <= set(facts["interfaces"])
    gateways = sorted(i.gateway for i in here if i.up and i.gateway)
    assert facts["gateways"] == gateways
    routes = [local_address(to) for to in ("127.0.0.1", "203.0.113.1")]
    assert facts["local_addresses"] == routes
    assert facts["slept_s"] >= 0


def test_load_and_traffic_are_those_that_psutil_reads(facts: dict[str, Any]) -> None:
    ours, theirs = facts["load"]
    assert ours["counters"].keys() == theirs["counters"].keys()
    for name, counters in theirs["counters"].items():
        assert ours["counters"][name] == pytest.approx(counters, rel=0.1, abs=50_000)
    for name in ("busy_s", "idle_s", "memory_ratio", "rss_bytes"):
        assert ours[name] == pytest.approx(theirs[name], rel=0.1, abs=0.02), name
    assert ours["battery"] == theirs["battery"]
    assert ours["clock_ratio"] == pytest.approx(theirs["clock_ratio"], abs=0.01)
    # Both count from the starts of the system and of this process.
    assert ours["boot_time_s"] == pytest.approx(theirs["boot_time_s"], abs=3)
    assert ours["started_s"] == pytest.approx(theirs["started_s"], abs=1)
    assert ours["cpu_s"] == pytest.approx(theirs["cpu_s"], abs=0.5)


def test_what_wine_cannot_answer_is_an_answer_of_ours(facts: dict[str, Any]) -> None:
    assert facts["wifi"] in {"not_present", "not_supported", "[]"}
    assert facts["neighbour"] == ""


def test_echo_requests_are_answered(facts: dict[str, Any]) -> None:
    if facts["echoes"] == [["Windows opens no socket for echo requests"]]:
        pytest.skip("this user may not send echo requests here")
    assert facts["echoes"] == [["127.0.0.1", True]] * 2


def test_the_proxies_of_a_person_the_environment_and_an_administrator_are_read(
    facts: dict[str, Any],
) -> None:
    bypass = ["<local>", "*.council.example"]
    assert facts["set_proxies"] == {
        "person 1": ["manual", "http://b.example:81", *bypass],
        "person 0": ["none", ""],
        "environment": ["environment", "http://environment.example:3128"],
        "administrator": ["manual", "http://b.example:81", *bypass],
        "nobody": ["none", ""],
    }


def test_windows_runs_the_proxy_script(facts: dict[str, Any]) -> None:
    # Of several proxies Wine hands on the first; the lists of Windows are in
    # test_platforms_windows.py.
    assert facts["proxies"] == {
        "/council.pac towpath.council.example": ["http://proxy.example:3128", ""],
        "/council.pac other.example": ["", ""],
        "/several.pac towpath.council.example": ["http://a.example:1", ""],
        "/several.pac other.example": ["", ""],
        "/huge.pac towpath.council.example": ["http://p0:1", ""],
        "/huge.pac other.example": ["http://p0:1", ""],
        "/nonsense.pac towpath.council.example": ["", "cannot be fetched or run"],
        "/nonsense.pac other.example": ["", "cannot be fetched or run"],
    }


def test_planted_programs_and_libraries_are_not_used(facts: dict[str, Any]) -> None:
    assert facts["folder"].lower() == r"c:\windows\system32"
    assert facts["netsh"].lower() == r"c:\windows\system32\netsh.exe"
    assert facts["nothing"] is None
    (page,) = facts["browser"]
    assert page.startswith("file:///")
    assert facts["library"]


def test_a_file_that_another_program_has_open_is_replaced_when_it_is_closed(
    facts: dict[str, Any],
) -> None:
    assert facts["held_file"] == "new"
    assert facts["held_alone"] == ["known", "a folder"]


def test_windows_checks_certificates_and_knows_none_of_ours(
    facts: dict[str, Any],
) -> None:
    assert facts["unknown_authority"] == (
        " has a certificate that is not trusted: this laptop does not trust the "
        "authority that issued it; it was issued by 'localhost' for 'localhost'"
    )


def test_damaged_files_of_the_state_are_moved_aside(facts: dict[str, Any]) -> None:
    assert facts["damaged_files"] == [
        "spool_lost",
        "state_file_damaged",
        "state_file_damaged",
    ]


def test_state_outside_the_profile_is_closed_to_others(
    laptop: WindowsLaptop, facts: dict[str, Any]
) -> None:
    # Wine keeps access lists as the mode of the folder.
    folder = laptop.drive / "ProgramData" / "towpath-agent"
    assert folder.stat().st_mode & 0o007 == 0


def test_settings_of_another_user_in_a_folder_of_all_are_not_read(
    facts: dict[str, Any],
) -> None:
    if os.getuid() != 0:
        pytest.skip("only root may give a file to another user")
    assert facts["owners"] == [True, False]


def test_firmware_describes_the_computer(facts: dict[str, Any]) -> None:
    # Wine's table has no serial number; the UUID is that of its registry.
    assert facts["machine"].startswith("00")
    assert [len(number) for number in facts["machine_numbers"]][-1:] == [36]


def test_events_reach_the_application_log(facts: dict[str, Any]) -> None:
    assert facts["event"] == ""


def test_our_structures_are_those_of_the_headers(
    facts: dict[str, Any], tmp_path: Path
) -> None:
    compiler = services.program("x86_64-w64-mingw32-gcc")
    lines = ["#include <winsock2.h>", "#include <ws2ipdef.h>", "#include <iphlpapi.h>"]
    lines += ["#include <netioapi.h>", "#include <winhttp.h>", "#include <stddef.h>"]
    lines.append("#include <psapi.h>")
    # The octets of a route that are read by position.
    lines.append('_Static_assert(sizeof(MIB_IPFORWARD_ROW2) == 104, "route");')
    seen = set()
    for path, field, at, size in facts["layouts"]:
        ours = path.removeprefix("probes.platforms.").removeprefix("probes.tracing.")
        if ours in WITHOUT_HEADER:
            continue
        kind, *members = STRUCTURES[ours].split()
        seen.add(ours)
        if not field:
            # Those that are handed to Windows have room for what it writes.
            if kind not in LISTED_BY_WINDOWS:
                lines.append(f'_Static_assert(sizeof({kind}) <= {size}, "{ours}");')
            continue
        member = dict(pair.split("=") for pair in members)[field]
        if member:
            offset = f"offsetof({kind}, {member})"
            lines.append(f'_Static_assert({offset} == {at}, "{ours}.{field}");')
    assert seen == set(STRUCTURES)
    source = tmp_path / "layouts.c"
    source.write_text("\n".join(lines) + "\n")
    subprocess.run(
        [compiler, "-D_WIN32_WINNT=0x0A00", "-fsyntax-only", str(source)],
        check=True,
        timeout=60,
    )


def test_help_and_errors_are_utf_8_in_a_pipe(
    laptop: WindowsLaptop, tmp_path: Path
) -> None:
    shown = laptop.agent("--help")
    assert shown.returncode == 0
    assert "TOWPATH_AGENT_MQTT__HOST …" in shown.stdout.decode("utf-8")
    config = tmp_path / "Tŷ Mawr.toml"
    config.write_text('servr = "https://towpath.council.example"\n')
    wrong = laptop.agent("--config", str(config), "status")
    assert wrong.returncode == 2
    assert "Tŷ Mawr.toml: no setting is called 'servr'" in wrong.stderr.decode("utf-8")


async def test_a_laptop_enrols_measures_delivers_and_keeps_a_log(
    laptop: WindowsLaptop, tmp_path: Path
) -> None:
    quick = PolicyConfig(
        teams_relay=TeamsRelayConfig(host=""),
        services=(ServiceConfig(name="council", url="https://127.0.0.1:1/"),),
        cadence_s={"vpn": 1, "agent": 1, "web": 1, "name_lookup": 0, "call_path": 0},
        report_s=10,
    )
    state = laptop.profile / "AppData" / "Local" / "towpath-agent"
    async with door(tmp_path / "council", policy=quick) as council:
        config = tmp_path / "agent.toml"
        authority = f"Z:{council.certificates.authority}"
        config.write_text(
            f'server = "https://127.0.0.1:{council.ingest.port}"\n'
            f"ca_file = {json.dumps(authority)}\n"
        )
        run = laptop.command("--config", str(config), "run")
        lost = await asyncio.to_thread(laptop.agent, *("--config", str(config), "run"))
        assert lost.returncode == 2
        token = council.registry.admin.make_token("hall", 1, 1, wall_ms())
        enrolled = await asyncio.to_thread(
            laptop.agent, "enrol", "--config", str(config), "--token", token
        )
        assert (enrolled.returncode, enrolled.stderr) == (0, b"")
        process = await asyncio.create_subprocess_exec(
            *run,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=laptop.environment,
        )
        try:
            await until(lambda: len(council.append.rows()) >= 6, seconds=90)
        finally:
            process.kill()
            await process.wait()
        batches = council.append.batches
    assert {"vpn", "agent", "web"} <= {batch.measurement for batch in batches}
    outcomes = {
        outcome
        for batch in batches
        if batch.measurement == "web"
        for outcome in batch.field("outcome")
    }
    # The closed port of the service, and what the policy checks besides.
    assert "refused" in outcomes
    assert "reset" not in outcomes
    log = (state / "agent.log").read_text("utf-8")
    assert "ERROR this laptop is not enrolled" in log
    assert "INFO agent_started agent=" in log
    assert (state / "credential.json").is_file()
