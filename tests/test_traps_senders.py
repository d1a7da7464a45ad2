"""net-snmp's snmptrap and snmpinform are understood; what is not authentic is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from trap_senders import COMMUNITY, ESTATE, LINK_DOWN, receiving

from collectors.estate import Device, Estate

pytestmark = pytest.mark.service

ENGINE = "0x8000000001020304"
# Credential's words → net-snmp's.
AUTH = {
    "md5": "MD5",
    "sha1": "SHA",
    "sha224": "SHA-224",
    "sha256": "SHA-256",
    "sha384": "SHA-384",
    "sha512": "SHA-512",
}
PRIV = {
    ("des", "blumenthal"): "DES",
    ("aes128", "blumenthal"): "AES",
    ("aes192", "blumenthal"): "AES-192",
    ("aes256", "blumenthal"): "AES-256",
    ("aes192", "cisco"): "AES-192-C",
    ("aes256", "cisco"): "AES-256-C",
}
PASSWORD, SECRET = "a password of eight", "another secret"


def user(auth: str, priv: str = "", expansion: str = "blumenthal") -> dict[str, str]:
    found = {"user": "towpath", "auth": auth, "auth_password": PASSWORD}
    if priv:
        found |= {"priv": priv, "priv_password": SECRET, "key_expansion": expansion}
    return found


def options(auth: str, priv: str = "", expansion: str = "blumenthal") -> list[str]:
    found = ["-v3", "-u", "towpath", "-a", AUTH[auth], "-A", PASSWORD]
    if priv:
        found += ["-l", "authPriv", "-x", PRIV[priv, expansion], "-X", SECRET]
    else:
        found += ["-l", "authNoPriv"]
    return found


COMBINATIONS = [
    *((auth, "", "blumenthal") for auth in AUTH),
    *(("sha256", priv, expansion) for priv, expansion in PRIV),
    *((auth, "aes256", "blumenthal") for auth in AUTH),
    ("sha1", "aes256", "cisco"),
    ("sha512", "aes128", "blumenthal"),
]


async def test_a_v1_trap_is_an_event_by_its_v2_name() -> None:
    async with receiving(names={7: "Gi1/0/7"}) as running:
        trap = ["1.3.6.1.4.1.9.1.1", "127.0.0.1", "2", "0", "100"]
        await running.send(
            "snmptrap", "-v1", "-c", "public", "TO", *trap, *LINK_DOWN[1:]
        )
        await running.until({"link_down": 1})
    (row,) = running.kept.of("link_down")
    assert row.tags == {
        "device": "core-1",
        "site": "hall",
        "role": "switch",
        "event": "link_down",
        "port": "Gi1/0/7",
    }
    assert row.fields["severity"] == "warning"
    assert row.fields["active"] == 1
    assert row.fields["trap"] == LINK_DOWN[0]


async def test_a_v2c_inform_is_answered_and_counts_once() -> None:
    async with receiving() as running:
        code, said = await running.send(
            "snmpinform", "-v2c", "-c", "public", "TO", "", *LINK_DOWN
        )
        assert (code, said) == (0, "")
        assert running.kept.counts() == {"link_down": 1}
        assert running.stats["answered"] >= 1


async def test_an_inform_is_answered_only_once_its_event_is_durable() -> None:
    async with receiving() as running:
        running.kept.full = True
        send = ["-v2c", "-c", "public", "-t", "1", "-r", "1", "TO", "", *LINK_DOWN]
        code, said = await running.send("snmpinform", *send)
        assert code == 1
        assert "Timeout" in said
        assert running.stats["answered"] == 0
        running.kept.full = False
        await running.until({"link_down": 1})
    # It came twice, and is one event.
    assert running.kept.counts() == {"link_down": 1}


@pytest.mark.parametrize(("auth", "priv", "expansion"), COMBINATIONS)
async def test_v3_traps_and_informs_are_understood(
    auth: str, priv: str, expansion: str
) -> None:
    async with receiving({"u": user(auth, priv, expansion)}) as running:
        sent = options(auth, priv, expansion)
        code, said = await running.send(
            "snmptrap", *sent, "-e", ENGINE, "TO", "", *LINK_DOWN
        )
        if "not support" in said or "Invalid" in said or "not available" in said:
            pytest.skip(f"this net-snmp has no {auth}/{priv}: {said.strip()}")
        assert (code, said) == (0, "")
        await running.until({"link_down": 1})
        code, said = await running.send("snmpinform", *sent, "TO", "", *LINK_DOWN)
        assert (code, said) == (0, "")
        assert running.kept.counts() == {"link_down": 2}
        assert running.stats["not_authentic"] == 0


async def test_several_users_and_one_name_with_two_passwords() -> None:
    users = {
        "a": user("sha256", "aes128"),
        "b": {**user("sha1"), "auth_password": "of another subnet"},
        "c": {"user": "second", "auth_password": PASSWORD},
    }
    async with receiving(users) as running:
        trap = ["-e", ENGINE, "TO", "", *LINK_DOWN]
        await running.send("snmptrap", *options("sha256", "aes128"), *trap)
        other = ["-v3", "-l", "authNoPriv", "-u", "towpath", "-a", "SHA"]
        await running.send("snmptrap", *other, "-A", "of another subnet", *trap)
        third = ["-v3", "-l", "authNoPriv", "-u", "second", "-a", "SHA-256"]
        await running.send("snmptrap", *third, "-A", PASSWORD, *trap)
        await running.until({"link_down": 3})


async def test_what_is_not_authentic_is_counted_and_kept_out() -> None:
    async with receiving({"u": user("sha256", "aes128"), **COMMUNITY}) as running:
        trap = ["-e", ENGINE, "TO", "", *LINK_DOWN]
        signed = ["-v3", "-l", "authNoPriv", "-a", "SHA-256"]
        cases = {
            "wrong_community": ["-v2c", "-c", "secret", *trap[2:]],
            "wrong_digest": [*signed, "-u", "towpath", "-A", "not that one", *trap],
            "unknown_user": [*signed, "-u", "nobody", "-A", PASSWORD, *trap],
            "unsupported_level": ["-v3", "-l", "noAuthNoPriv", "-u", "towpath", *trap],
        }
        for reason, arguments in cases.items():
            await running.send("snmptrap", *arguments)
            await running.until_refused(reason)
        code, said = await running.send(
            "snmpinform", *signed, "-u", "nobody", "-A", PASSWORD, "TO", "", *LINK_DOWN
        )
        assert code == 1
        assert "nknown user" in said
    assert running.kept.samples == []


async def test_a_stranger_is_kept_out_and_gets_no_answer() -> None:
    async with receiving(
        {"u": user("sha256"), **COMMUNITY}, estate=Estate()
    ) as running:
        once = ["-t", "1", "-r", "0"]
        code, _ = await running.send(
            "snmpinform", *options("sha256"), *once, "TO", "", *LINK_DOWN
        )
        assert code == 1
        await running.send("snmptrap", "-v2c", "-c", "public", "TO", "", *LINK_DOWN)
        await running.until_refused("unknown_source", 2)
    assert running.kept.samples == []


async def test_a_relayed_v1_trap_is_about_whoever_sent_it_first() -> None:
    async with receiving() as running:
        trap = ["1.3.6.1.4.1.9.1.1", "10.9.9.9", "0", "0", "100"]
        await running.send("snmptrap", "-v1", "-c", "public", "TO", *trap)
        await running.until({"cold_start": 1})
        trap[1] = "10.1.1.1"
        await running.send("snmptrap", "-v1", "-c", "public", "TO", *trap)
        await running.until({"cold_start": 2})
    devices = [each.tags["device"] for each in running.kept.of("cold_start")]
    # An address that nobody knows is some other of the sender's own.
    assert devices[:2] == ["far-1", "core-1"]


async def test_engines_are_remembered_over_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "traps.json"
    users = {"u": user("sha256", "aes128")}
    sent = [*options("sha256", "aes128"), "-e", ENGINE]
    async with receiving(users, state=state) as running:
        # Boots and time as the sender says: -Z boots,time.
        await running.send("snmptrap", *sent, "-Z", "7,1000", "TO", "", *LINK_DOWN)
        await running.until({"link_down": 1})
    async with receiving(users, state=state) as running:
        await running.send("snmptrap", *sent, "-Z", "6,5000", "TO", "", *LINK_DOWN)
        await running.until_refused("not_in_time")
        await running.send("snmptrap", *sent, "-Z", "7,200", "TO", "", *LINK_DOWN)
        await running.until_refused("not_in_time", 2)
        await running.send("snmptrap", *sent, "-Z", "8,0", "TO", "", *LINK_DOWN)
        await running.until({"link_down": 1})
        assert oct(state.stat().st_mode & 0o777) == "0o600"


async def test_a_socket_for_both_hears_ipv4_as_such_and_ipv6() -> None:
    six = Device(id="six", site="hall", address="::1")  # type: ignore[arg-type]
    estate = Estate(sites=ESTATE.sites, devices=(*ESTATE.devices, six))
    async with receiving(host="::", estate=estate) as running:
        port = running.receiver.inbox.port
        trap = ["-v2c", "-c", "public"]
        await running.send("snmptrap", *trap, "TO", "", *LINK_DOWN)
        await running.send("snmptrap", *trap, f"udp6:[::1]:{port}", "", *LINK_DOWN)
        code, _ = await running.send("snmpinform", *trap, "TO", "", *LINK_DOWN)
        assert code == 0
        await running.until({"link_down": 3})
    devices = {row.tags["device"] for row in running.kept.of("link_down")}
    assert devices == {"core-1", "six"}
