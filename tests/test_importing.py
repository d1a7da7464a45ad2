"""Devices and sites from CSV, NetBox and LibreNMS, over real HTTP."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import api_doubles
import pytest
import services
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.estate import Estate, load
from collectors.importing import librenms, netbox, spreadsheet
from collectors.importing.imported import as_diff, as_toml, merge, role_of, summary
from collectors.importing.rest_client import Api, Trouble, token_in
from collectors.snmp import Credentials, credential

BIN = Path(sys.executable).parent
NO_PAUSES = (0.0, 0.0, 0.0)


def choice(value: str) -> dict[str, str]:
    return {"value": value, "label": value.title()}


HALL = {"id": 1, "name": "Town Hall", "slug": "town-hall", "status": choice("active")}
DEPOT = {"id": 2, "name": "Dépôt ☃", "slug": "depot", "status": choice("active")}
CLOSED = {"id": 3, "name": "Old Mill", "slug": "mill", "status": choice("retired")}


def device(
    id: int, name: str | None, address: str | None, **more: Any
) -> dict[str, Any]:
    ip = None if address is None else {"id": id, "address": address}
    return {
        "id": id,
        "name": name,
        "display": name or f"Catalyst ({id})",
        "site": {"id": 1, "slug": "town-hall"},
        "status": choice("active"),
        "primary_ip": ip,
        "primary_ip4": ip,
        "primary_ip6": None,
        "virtual_chassis": None,
        **more,
    }


PLANNED = choice("planned")
SWITCH = {"id": 7, "name": "Access layer", "slug": "access-layer"}
# A role as version 3 names it, and as version 4 does; scopes likewise.
V3 = {
    "/api/dcim/sites/": [HALL, DEPOT, CLOSED],
    "/api/ipam/prefixes/": [
        {
            "id": 1,
            "prefix": "10.1.0.0/16",
            "site": {"id": 1},
            "status": choice("active"),
        },
        {
            "id": 2,
            "prefix": "10.0.0.0/8",
            "site": {"id": 1},
            "status": choice("container"),
        },
        {"id": 3, "prefix": "10.9.0.0/24", "site": None, "status": choice("active")},
        {
            "id": 4,
            "prefix": "10.2.0.0/24",
            "site": {"id": 2},
            "status": choice("active"),
        },
    ],
    "/api/dcim/devices/": [
        device(1, "th-sw1", "10.1.0.1/24", device_role=SWITCH),
        device(2, "th-rtr", "10.1.0.2/24", device_role={"slug": "wan-router"}),
        device(
            3, "th-sw2", "10.1.0.3/24", device_role=SWITCH, status=choice("planned")
        ),
        device(4, None, None, device_role=SWITCH),
        device(5, "srv", "10.1.0.5/24", device_role={"slug": "server"}),
        device(
            6,
            "stack-1",
            "10.1.0.6/24",
            device_role=SWITCH,
            virtual_chassis={"id": 9, "name": "stack", "master": {"id": 6}},
        ),
        device(
            7,
            "stack-2",
            None,
            device_role=SWITCH,
            virtual_chassis={"id": 9, "name": "stack", "master": {"id": 6}},
        ),
        device(8, "mill-sw", "10.3.0.1/24", device_role=SWITCH, site={"id": 3}),
    ],
    "/api/dcim/virtual-chassis/": [{"id": 9, "name": "stack", "master": {"id": 6}}],
    "/api/circuits/circuits/": [
        {
            "id": 1,
            "cid": "WB-0047",
            "provider": {"id": 1, "name": "Example Telecom"},
            "status": choice("active"),
            "commit_rate": 80_000,
            "termination_date": "2027-03-31",
        },
        {
            "id": 2,
            "cid": "WB-0048",
            "provider": {"id": 1, "name": "Example Telecom"},
            "status": choice("active"),
            "commit_rate": None,
        },
        {
            "id": 3,
            "cid": "OLD",
            "provider": {"id": 1, "name": "Example Telecom"},
            "status": choice("decommissioning"),
            "commit_rate": 1,
        },
    ],
    "/api/circuits/circuit-terminations/": [
        {
            "id": 1,
            "circuit": {"id": 1},
            "term_side": "A",
            "site": {"id": 1},
            "port_speed": 100_000,
            "upstream_speed": 20_000,
            "link_peers": [{"id": 4, "name": "Gi0/1", "device": {"id": 2}}],
            "link_peers_type": "dcim.interface",
        },
        {
            "id": 2,
            "circuit": {"id": 2},
            "term_side": "A",
            "site": {"id": 2},
            "port_speed": 1_000_000,
            "upstream_speed": None,
            "link_peers": [],
        },
    ],
}


def v4() -> dict[str, list[Any]]:
    """The same, as later versions say it."""
    lists = {path: [dict(each) for each in rows] for path, rows in V3.items()}
    for each in lists["/api/dcim/devices/"]:
        each["role"] = each.pop("device_role")
    for each in lists["/api/ipam/prefixes/"]:
        site = each.pop("site")
        each |= {"scope_type": "dcim.site" if site else None, "scope": site}
        each["scope_id"] = site["id"] if site else None
    for each in lists["/api/circuits/circuit-terminations/"]:
        site = each.pop("site")
        each |= {"termination_type": "dcim.site", "termination_id": site["id"]}
        each["termination"] = site
    return lists


async def read_netbox(
    double: api_doubles.ApiDouble, token: str = "secret"
) -> netbox.NetBoxData:
    headers = netbox.headers(token)
    with double as server:
        async with Api("NetBox", server.url, headers, pauses_s=NO_PAUSES) as api:
            return await netbox.read(api)


@pytest.mark.parametrize(
    ("lists", "token"), [(V3, "secret"), (v4(), "nbt_secret")], ids=["v3", "v4"]
)
async def test_netbox_becomes_an_estate(
    lists: dict[str, list[Any]], token: str, tmp_path: Path
) -> None:
    read = await read_netbox(api_doubles.netbox(lists, token), token)
    found = netbox.found(read, {"server": "skip"})
    (tmp_path / "estate.toml").write_text(as_toml(found), encoding="utf-8")
    estate = load(tmp_path)
    assert [(s.id, s.name) for s in estate.sites] == [
        ("town-hall", "Town Hall"),
        ("depot", "Dépôt ☃"),
    ]
    assert [str(n) for n in estate.site("town-hall").subnets] == ["10.1.0.0/16"]
    assert [(d.id, str(d.address), d.role) for d in estate.devices] == [
        ("th-sw1", "10.1.0.1", "switch"),
        ("th-rtr", "10.1.0.2", "router"),
        ("stack", "10.1.0.6", "switch"),
    ]
    (line,) = estate.lines
    assert (line.supplier, line.circuit_ref) == ("Example Telecom", "WB-0047")
    assert (line.down_mbps, line.up_mbps) == (80, 20)
    assert (line.site, line.device, line.port) == ("town-hall", "th-rtr", "Gi0/1")
    assert str(line.contract_end) == "2027-03-31"
    (section, wanting) = found.wanting[0]
    assert (section, wanting["circuit_ref"]) == ("lines", "WB-0048")
    (note,) = found.notes["lines", wanting["id"]]
    assert "does not say its device, port" in note
    said = "\n".join(found.said)
    for sentence in (
        "site Old Mill is retired",
        "th-sw2 is planned",
        "Catalyst (4) has no primary address",
        "mill-sw is at a site that is not taken over",
        "circuit OLD is decommissioning",
    ):
        assert sentence in said
    assert found.notes["devices", "stack"] == ["a virtual chassis of 2"]


def test_a_token_of_version_4_5_is_a_bearer() -> None:
    assert netbox.headers("nbt_abc.def") == {"Authorization": "Bearer nbt_abc.def"}
    assert netbox.headers("abc") == {"Authorization": "Token abc"}


async def test_a_cable_through_a_patch_panel_is_followed() -> None:
    panel = {"id": 50, "name": "R1", "device": {"id": 90, "name": "panel"}}
    router = {"id": 4, "name": "Gi0/2", "device": {"id": 2, "name": "th-rtr"}}
    end = {
        "id": 2,
        "circuit": {"id": 2},
        "term_side": "A",
        "site": {"id": 1},
        "port_speed": 1_000_000,
        "cable": {"id": 100},
        "link_peers": [panel],
        "link_peers_type": "dcim.rearport",
    }
    path = {"id": 1, "path": [[{"id": 2}], [{"id": 100}], [panel], [router]]}
    inner = api_doubles.netbox({**V3, "/api/circuits/circuit-terminations/": [end]})

    def answer(asked: str, query: Any) -> api_doubles.Answer | None:
        if asked == "/api/circuits/circuit-terminations/2/paths/":
            return 200, [path]
        return inner.answer(asked, query)

    double = api_doubles.ApiDouble(answer, ("Authorization", "Token secret"), {})
    found = netbox.found(await read_netbox(double))
    inner.close()
    (line,) = found.lines
    assert (line["device"], line["port"]) == ("th-rtr", "Gi0/2")


async def test_pages_are_asked_of_the_host_that_was_named() -> None:
    double = api_doubles.netbox(V3)
    read = await read_netbox(double)
    assert len(read.devices) == 8
    assert any("offset=6" in path for path in double.asked)


async def trouble(double: api_doubles.ApiDouble, token: str = "secret") -> str:
    with pytest.raises(Trouble) as error:
        await read_netbox(double, token)
    return str(error.value)


async def test_a_wrong_token_is_one_sentence_and_is_not_in_it() -> None:
    double = api_doubles.netbox(V3)
    said = await trouble(double, "not-this-one")
    assert "does not take the token (401, Invalid token)" in said
    assert "not-this-one" not in said
    assert len(double.asked) == 1


async def test_a_wrong_address_is_one_sentence() -> None:
    said = await trouble(api_doubles.netbox({}))
    assert "has no /api/dcim/sites/ (404, Not found.): is that its address?" in said


async def test_a_server_that_fails_is_said_with_what_it_says() -> None:
    def broken(path: str, query: Any) -> api_doubles.Answer:
        return 500, {"error": "out of  cheese"}

    double = api_doubles.ApiDouble(broken, ("Authorization", "Token secret"), {})
    assert "answered 500, out of cheese" in await trouble(double)


async def test_half_an_answer_is_asked_for_again_and_then_given_up() -> None:
    read = await read_netbox(api_doubles.netbox(V3, break_off=2))
    assert len(read.sites) == 3
    assert "broke its answer off" in await trouble(api_doubles.netbox(V3, break_off=99))


async def test_a_busy_server_is_asked_again() -> None:
    assert len((await read_netbox(api_doubles.netbox(V3, busy=2))).sites) == 3


@pytest.mark.parametrize(
    "body", [b"<html>Sign in</html>", b"[]", b'{"results": 7}', b"[" * 100_000, b"\xff"]
)
async def test_what_is_no_netbox_is_said(body: bytes) -> None:
    double = api_doubles.ApiDouble(
        lambda path, query: (200, body), ("Authorization", "Token secret"), {}
    )
    said = await trouble(double)
    assert "no JSON" in said or "has no list of results" in said


async def test_a_next_that_goes_round_ends() -> None:
    def round_and_round(path: str, query: Any) -> api_doubles.Answer:
        return 200, {"next": f"http://x{path}?limit=200", "results": []}

    double = api_doubles.ApiDouble(
        round_and_round, ("Authorization", "Token secret"), {}
    )
    assert "goes round in circles" in await trouble(double)


async def test_nobody_there_and_no_address_are_sentences() -> None:
    port = services.free_port()
    async with Api("NetBox", f"http://127.0.0.1:{port}", {}, pauses_s=(0.0,)) as api:
        with pytest.raises(Trouble, match="cannot be reached"):
            await api.get("/api/")
    with pytest.raises(Trouble, match="is no address such as"):
        Api("NetBox", "netbox.example.org", {})


async def test_a_redirect_is_not_followed_with_the_token() -> None:
    def elsewhere(path: str, query: Any) -> api_doubles.Answer:
        return 302, {}

    double = api_doubles.ApiDouble(elsewhere, ("Authorization", "Token secret"), {})
    assert "sends on to elsewhere: give that address" in await trouble(double)


async def test_a_token_that_may_not_see_circuits_still_brings_devices() -> None:
    lists = {k: v for k, v in V3.items() if "circuit" not in k and "chassis" not in k}
    read = await read_netbox(api_doubles.netbox(lists))
    assert len(read.devices) == 8
    assert read.circuits == []


ODD = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["id", "name", "site", "status", "value", "address", "device", "slug"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=8,
)
objects = st.lists(
    st.dictionaries(
        st.sampled_from(
            [
                *("id", "name", "site", "status", "primary_ip4", "virtual_chassis"),
                *("role", "prefix", "scope", "scope_type", "circuit", "link_peers"),
                *("cid", "provider", "commit_rate", "term_side", "slug", "display"),
            ]
        ),
        ODD,
    ),
    max_size=4,
)


@given(objects, objects, objects, objects, objects)
@settings(max_examples=50, deadline=None)
def test_whatever_netbox_says_is_read_without_harm(
    sites: Any, prefixes: Any, devices: Any, circuits: Any, terminations: Any
) -> None:
    some = netbox.NetBoxData(
        [HALL, *sites], prefixes, devices, [], circuits, terminations
    )
    found = netbox.found(some)
    tomllib.loads(as_toml(found))


# -- LibreNMS ------------------------------------------------------------------


def nms(id: int, hostname: str, **more: Any) -> dict[str, Any]:
    return {
        "device_id": id,
        "hostname": hostname,
        "sysName": f"sw-{id}.example.gov.uk",
        "ip": None,
        "overwrite_ip": None,
        "snmpver": "v2c",
        "community": "council",
        "port": 161,
        "transport": "udp",
        "disabled": 0,
        "ignore": 0,
        "snmp_disable": 0,
        "type": "network",
        "os": "ios",
        "hardware": "WS-C2960X-48 switch",
        "location": "Town Hall, cellar",
        **more,
    }


V3_DEVICE = {
    "snmpver": "v3",
    "community": "",
    "authlevel": "authPriv",
    "authname": "towpath",
    "authpass": "an auth password",
    "authalgo": "SHA-256",
    "cryptopass": 'a priv "password" \u2603',
    "cryptoalgo": "AES-256-C",
}
ANSWERS: dict[str, Any] = {
    "/devices": {
        "devices": [
            nms(1, "10.1.0.1"),
            nms(2, "10.1.0.2", **V3_DEVICE),
            nms(3, "10.1.0.3", dependency_parent_hostname="10.1.0.1", port=1161),
            nms(4, "10.1.0.4", disabled=1),
            nms(5, "10.1.0.5", ignore=1, snmpver="v1", community="old"),
            nms(6, "fw.example", ip="10.1.0.6", type="firewall", location=None),
            nms(7, "unknown.invalid"),
            nms(8, "10.1.0.8", snmp_disable=1, type="power"),
            nms(9, "10.1.0.9", dependency_parent_hostname="10.1.0.1,10.1.0.2"),
            nms(10, "10.1.0.10", location="", location_id=4),
        ],
        "count": 10,
    },
    "/resources/locations": {"locations": [{"id": 4, "location": "Dépôt"}]},
}


async def read_librenms(double: api_doubles.ApiDouble) -> librenms.LibreNmsData:
    async with Api(
        "LibreNMS", double.url, librenms.headers("secret"), pauses_s=NO_PAUSES
    ) as api:
        return await librenms.read(api)


@pytest.fixture
async def nms_read() -> librenms.LibreNmsData:
    with api_doubles.librenms(ANSWERS) as server:
        return await read_librenms(server)


def test_librenms_becomes_an_estate_and_its_secrets_lie_apart(
    nms_read: librenms.LibreNmsData, tmp_path: Path
) -> None:
    found, fresh = librenms.found(nms_read, Estate(), Credentials({}))
    text = as_toml(merge(found, Estate(), "LibreNMS").fresh)
    assert "council" not in text
    assert "password" not in text
    (tmp_path / "estate.toml").write_text(text, encoding="utf-8")
    estate = load(tmp_path)
    assert {s.id: s.name for s in estate.sites} == {
        "depot": "Dépôt",
        "town-hall-cellar": "Town Hall, cellar",
    }
    devices = {d.id: d for d in estate.devices}
    assert devices["sw-1"].credentials == "librenms-1"
    assert devices["sw-2"].credentials == "librenms-2"
    assert devices["sw-3"].port == 1161
    assert devices["sw-3"].parent == "sw-1"
    # Two parents are redundancy.
    assert devices["sw-9"].parent is None
    assert devices["sw-10"].site == "depot"
    assert (devices["sw-8"].poll, devices["sw-8"].snmp) == (True, False)
    assert devices["sw-8"].role == "ups"
    assert "sw-4" not in devices
    # No location and no rule: it waits as a comment.
    assert [entry["id"] for _, entry in found.wanting] == ["sw-6"]
    said = "\n".join(found.said)
    assert "sw-4.example.gov.uk is disabled in LibreNMS: left out" in said
    assert "sw-7.example.gov.uk has no address that can be found" in said
    assert found.notes["devices", "sw-5"] == ["LibreNMS ignores its alerts"]

    file = tmp_path / "snmp.toml"
    librenms.write_credentials(file, fresh)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    read = Credentials.read(file, {})
    assert read.get("librenms-1") == credential("x", {"community": "council"})
    secret = read.get("librenms-2")
    assert (secret.auth, secret.priv, secret.key_expansion) == (
        "sha256",
        "aes256",
        "cisco",
    )
    assert secret.priv_password == 'a priv "password" \u2603'
    assert read.get("librenms-3").version == "1"
    with pytest.raises(Trouble, match="is there already"):
        librenms.write_credentials(file, fresh)


def test_a_credential_that_is_configured_here_keeps_its_name(
    nms_read: librenms.LibreNmsData,
) -> None:
    known = Credentials({"core": credential("core", {"community": "council"})})
    found, fresh = librenms.found(nms_read, Estate(), known)
    assert found.devices[0]["credentials"] == "core"
    assert "council" not in {each.community for each in fresh.values()}


def test_the_estates_rules_place_devices_before_locations_do(
    nms_read: librenms.LibreNmsData,
) -> None:
    here = Estate.model_validate(
        {"sites": [{"id": "hall", "name": "Hall", "subnets": ["10.1.0.0/24"]}]}
    )
    found, _ = librenms.found(nms_read, here, Credentials({}))
    assert {entry["site"] for entry in found.devices} == {"hall"}
    assert found.sites == []


async def test_a_librenms_that_has_none_is_no_trouble() -> None:
    none = (404, {"status": "error", "message": "Location does not exist"})
    answers = {"/devices": {"devices": []}, "/resources/locations": none}
    with api_doubles.librenms(answers) as server:
        assert await read_librenms(server) == librenms.LibreNmsData([], [])


async def test_a_librenms_that_does_not_take_the_token_says_so() -> None:
    denied = pytest.raises(Trouble, match="API Token is missing or invalid")
    with api_doubles.librenms(ANSWERS, token="other") as server, denied:
        await read_librenms(server)


@given(objects)
@settings(max_examples=30, deadline=None)
def test_whatever_librenms_says_is_read_without_harm(devices: Any) -> None:
    read = librenms.LibreNmsData([{**nms(1, "10.0.0.1"), **each} for each in devices])
    found, _ = librenms.found(read, Estate(), Credentials({}))
    tomllib.loads(as_toml(found))


def test_a_secret_that_is_too_short_is_said_without_it() -> None:
    short = nms(1, "10.0.0.1", **{**V3_DEVICE, "authpass": "short"})
    read = librenms.LibreNmsData([short])
    found, fresh = librenms.found(read, Estate(), Credentials({}))
    assert any("needs auth_password of at least" in each for each in found.said)
    assert not any("short'" in each for each in found.said)
    assert fresh == {}


# -- merging -------------------------------------------------------------------

HERE = Estate.model_validate(
    {
        "sites": [{"id": "hall", "name": "Town Hall", "subnets": ["10.1.0.0/24"]}],
        "devices": [
            {"id": "core", "site": "hall", "address": "10.1.0.1", "role": "router"},
            {"id": "gone", "site": "hall", "address": "10.1.0.99"},
        ],
        "lines": [
            {
                "id": "wan",
                "site": "hall",
                "circuit_ref": "WB-0047",
                "supplier": "Example Telecom",
                "down_mbps": 40,
                "up_mbps": 20,
                "device": "core",
                "port": "Gi1",
            }
        ],
    }
)


async def test_what_the_estate_says_is_kept_and_only_what_is_new_is_written() -> None:
    found = netbox.found(await read_netbox(api_doubles.netbox(V3)), {"server": "skip"})
    merged = merge(found, HERE, "NetBox")
    assert [e["id"] for e in merged.fresh.devices] == ["th-rtr", "stack"]
    # NetBox calls the site otherwise; its name is the same.
    assert {e["site"] for e in merged.fresh.devices} == {"hall"}
    assert [e["id"] for e in merged.fresh.sites] == ["depot"]
    assert merged.fresh.lines == []
    assert "core: role 'router', NetBox says 'switch'" in merged.differs
    assert "site hall: it has no subnet 10.1.0.0/16" in merged.differs
    assert "line wan: down_mbps 40.0, not 80" in merged.differs
    assert merged.missing == ["gone"]
    diff = as_diff(merged)
    assert "+ device th-rtr at 10.1.0.2, site hall" in diff
    assert "~ core: role" in diff
    assert "- device gone" in diff
    assert "3 differ" in " ".join(summary(merged, "NetBox"))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("access-switch", "switch"),
        ("Core", "switch"),
        ("edge-router", "router"),
        ("firewall", "firewall"),
        ("wireless-ap", "access_point"),
        ("Access Point", "access_point"),
        ("wireless-controller", "controller"),
        ("ups", "ups"),
        ("printer", "other"),
        ("server", "skip"),
    ],
)
def test_roles_of_others_are_understood_or_mapped(theirs: str, ours: str) -> None:
    assert role_of(theirs, {"server": "skip"}) == ours


# -- CSV -----------------------------------------------------------------------


def from_csv(tmp_path: Path, text: str | bytes, **more: Any) -> Any:
    file = tmp_path / "list.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return spreadsheet.found(
        spreadsheet.read(file), file, more.pop("estate", HERE), **more
    )


def test_columns_may_be_called_as_people_call_them(tmp_path: Path) -> None:
    found = from_csv(
        tmp_path,
        "Host Name;Mgmt IP;Building;Device Type;Uplink Device;Notes\n"
        "HALL-SW-9;10.1.0.9/24;town hall;Access switch;core;whatever\n"
        "HALL-AP-1;10.1.0.10;hall;Access Point;HALL-SW-9;\n",
    )
    assert found.said == []
    assert found.devices == [
        {
            "id": "hall-sw-9",
            "name": "HALL-SW-9",
            "site": "hall",
            "address": "10.1.0.9",
            "port": None,
            "role": "switch",
            "credentials": None,
            "parent": "core",
        },
        {
            "id": "hall-ap-1",
            "name": "HALL-AP-1",
            "site": "hall",
            "address": "10.1.0.10",
            "port": None,
            "role": "access_point",
            "credentials": None,
            "parent": "hall-sw-9",
        },
    ]


def test_each_bad_row_is_a_sentence_with_its_line(tmp_path: Path) -> None:
    found = from_csv(
        tmp_path,
        "name,ip,site,parent,port\n"
        "a,10.1.0.300,hall,,\n"
        "b,10.1.0.2,Town Hal,,\n"
        "c,10.1.0.3,hall,cor,\n"
        "d,10.1.0.4,hall,d,\n"
        "e,10.1.0.5,hall,,99999\n",
    )
    file = tmp_path / "list.csv"
    assert found.said == [
        f"{file}:2: '10.1.0.300' is no IP address, such as 10.1.2.3",
        f"{file}:3: no site is called 'Town Hal'; did you mean 'town hall'?; "
        "--new-sites makes sites of names nobody knows",
        f"{file}:6: port '99999' is not within 1 to 65535",
        f"{file}:4: no device is called 'cor'; did you mean 'core'?",
        f"{file}:5: 'd' cannot be its own parent",
    ]
    assert [e["id"] for e in found.devices] == ["c", "d"]
    assert [e["id"] for _, e in found.wanting] == ["b"]


def test_sites_have_names_and_networks_and_secrets_are_left_out(tmp_path: Path) -> None:
    found = from_csv(
        tmp_path,
        "Location,Networks,IP,Community\n"
        'Yard,"10.4.0.0/24; 10.5.0.1/24",,\n'
        "Library,,10.6.0.1,hush\n",
        new_sites=True,
    )
    assert found.sites == [
        {"id": "yard", "name": "Yard", "subnets": ["10.4.0.0/24", "10.5.0.0/24"]},
        {"id": "library", "name": "Library"},
    ]
    assert found.devices[0]["site"] == "library"
    assert "secrets are never in the estate" in found.said[0]
    assert "hush" not in as_toml(found) + " ".join(found.said)


@pytest.mark.parametrize(
    "raw",
    [
        "\ufeffname,ip,site\nBâtiment,10.1.0.9,hall\n".encode(),
        "name,ip,site\nBâtiment,10.1.0.9,hall\n".encode("cp1252"),
        "name\tip\tsite\nBâtiment\t10.1.0.9\thall\n".encode("utf-16"),
    ],
)
def test_whatever_spreadsheets_write_is_read(raw: bytes, tmp_path: Path) -> None:
    assert from_csv(tmp_path, raw).devices[0]["name"] == "Bâtiment"


def test_a_file_without_a_known_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="none of its columns"):
        from_csv(tmp_path, "colour,weight\nred,4\n")
    with pytest.raises(Trouble, match="cannot be read"):
        spreadsheet.read(tmp_path / "nothing.csv")


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_a_table_or_a_sentence(raw: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "x.csv")
        file.write_bytes(b"name,ip,site\n" + raw)
        try:
            found = spreadsheet.found(spreadsheet.read(file), file, HERE)
        except Trouble:
            return
    tomllib.loads(as_toml(found))


# -- the command line ----------------------------------------------------------


def towpath(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "towpath"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={k: v for k, v in os.environ.items() if not k.startswith("TOWPATH")},
        check=False,
    )


async def test_the_commands_write_lines_and_say_the_rest(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    token = ("--token-file", str(tmp_path / "token"))
    kept = tmp_path / "new-credentials.toml"
    with api_doubles.librenms(ANSWERS) as server:
        ended = await asyncio.to_thread(
            towpath,
            *("import", "librenms", "--url", server.url, *token),
            *("--credentials-out", str(kept), "--out", str(tmp_path / "estate.toml")),
        )
    assert ended.returncode == 0, ended.stderr
    assert "new: 2 sites, 7 devices, 0 lines" in ended.stderr
    assert "council" not in ended.stderr
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert len(load(tmp_path / "estate.toml").devices) == 7
    with api_doubles.netbox(V3, token="another") as server:
        ended = await asyncio.to_thread(
            towpath, "import", "netbox", "--url", server.url, *token
        )
    assert ended.returncode == 1
    assert "does not take the token" in ended.stderr
    ended = towpath(
        "import", "netbox", "--url", "http://x", *token, "--role", "a=swich"
    )
    assert ended.returncode == 2
    assert "did you mean 'switch'?" in ended.stderr


def test_a_token_file_without_a_token_is_said(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    with pytest.raises(Trouble, match="is empty"):
        token_in(tmp_path / "token")
    with pytest.raises(Trouble, match="cannot be read"):
        token_in(tmp_path / "none")
