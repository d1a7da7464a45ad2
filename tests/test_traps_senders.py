"""Notifications of net-snmp's snmptrap and snmpinform are authenticated."""

from __future__ import annotations

from pathlib import Path

import pytest
from trap_harness import COMMUNITY, ESTATE, LINK_DOWN, receiving

from collectors.estate import Device, Estate

pytestmark = pytest.mark.service

ENGINE = "0x8000000001020304"
# A credential's names of algorithms, and net-snmp's.
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
    fields = {"user": "towpath", "auth": auth, "auth_password": PASSWORD}
    if priv:
        fields |= {"priv": priv, "priv_password": SECRET, "key_expansion": expansion}
    return fields


def options(auth: str, priv: str = "", expansion: str = "blumenthal") -> list[str]:
    arguments = ["-v3", "-u", "towpath", "-a", AUTH[auth], "-A", PASSWORD]
    if priv:
        arguments += ["-l", "authPriv", "-x", PRIV[priv, expansion], "-X", SECRET]
    else:
        arguments += ["-l", "authNoPriv"]
    return arguments


COMBINATIONS = [
    *((auth, "", "blumenthal") for auth in AUTH),
    *(("sha256", priv, expansion) for priv, expansion in PRIV),
    *((auth, "aes256", "blumenthal") for auth in AUTH),
    ("sha1", "aes256", "cisco"),
    ("sha512", "aes128", "blumenthal"),
]


async def test_a_v1_trap_is_an_event_by_its_v2_name() -> None:
    described = {"Gi1/0/7": "camera at the gate"}
    async with receiving(names={7: "Gi1/0/7"}, descriptions=described) as running:
        trap = ["1.3.6.1.4.1.9.1.1", "127.0.0.1", "2", "0", "100"]
        await running.send(
            "snmptrap", "-v1", "-c", "public", "TO", *trap, *LINK_DOWN[1:]
        )
        await running.until({"link_down": 1})
    (row,) = running.journal.rows("link_down")
    assert row.tags == {
        "device": "core-1",
        "site": "hall",
        "role": "switch",
        "event": "link_down",
        "port": "Gi1/0/7",
    }
    assert row.fields["severity"] == "warning"
    assert str(row.fields["text"]).endswith(" (camera at the gate)")
    assert row.fields["active"] == 1
    assert row.fields["trap"] == LINK_DOWN[0]


async def test_a_v2c_inform_is_answered_and_counts_once() -> None:
    async with receiving() as running:
        code, output = await running.send(
            "snmpinform", "-v2c", "-c", "public", "TO", "", *LINK_DOWN
        )
        assert (code, output) == (0, "")
        assert running.journal.counts() == {"link_down": 1}
        assert running.stats["answered"] >= 1


async def test_an_inform_is_answered_only_once_its_event_is_durable() -> None:
    async with receiving() as running:
        running.journal.full = True
        send = ["-v2c", "-c", "public", "-t", "1", "-r", "1", "TO", "", *LINK_DOWN]
        code, output = await running.send("snmpinform", *send)
        assert code == 1
        assert "Timeout" in output
        assert running.stats["answered"] == 0
        running.journal.full = False
        await running.until({"link_down": 1})
    # It was sent twice, and is one event.
    assert running.journal.counts() == {"link_down": 1}


@pytest.mark.parametrize(("auth", "priv", "expansion"), COMBINATIONS)
async def test_v3_traps_and_informs_are_accepted(
    auth: str, priv: str, expansion: str
) -> None:
    async with receiving({"u": user(auth, priv, expansion)}) as running:
        sent = options(auth, priv, expansion)
        code, output = await running.send(
            "snmptrap", *sent, "-e", ENGINE, "TO", "", *LINK_DOWN
        )
        if "not support" in output or "Invalid" in output or "not available" in output:
            pytest.skip(f"this net-snmp has no {auth}/{priv}: {output.strip()}")
        assert (code, output) == (0, "")
        await running.until({"link_down": 1})
        code, output = await running.send("snmpinform", *sent, "TO", "", *LINK_DOWN)
        assert (code, output) == (0, "")
        assert running.journal.counts() == {"link_down": 2}
        assert running.stats["not_authentic"] == 0


async def test_several_users_and_two_passwords_of_one_user_are_accepted() -> None:
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


async def test_a_trap_that_is_not_authentic_is_counted_and_refused() -> None:
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
        code, output = await running.send(
            "snmpinform", *signed, "-u", "nobody", "-A", PASSWORD, "TO", "", *LINK_DOWN
        )
        assert code == 1
        assert "nknown user" in output
    assert running.journal.samples == []


async def test_an_unknown_source_is_refused_and_gets_no_response() -> None:
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
    assert running.journal.samples == []


async def test_a_forwarded_v1_trap_is_about_its_original_sender() -> None:
    async with receiving() as running:
        trap = ["1.3.6.1.4.1.9.1.1", "10.9.9.9", "0", "0", "100"]
        await running.send("snmptrap", "-v1", "-c", "public", "TO", *trap)
        await running.until({"cold_start": 1})
        trap[1] = "10.1.1.1"
        await running.send("snmptrap", "-v1", "-c", "public", "TO", *trap)
        await running.until({"cold_start": 2})
    devices = [row.tags["device"] for row in running.journal.rows("cold_start")]
    # An unknown address is taken as another address of the sender.
    assert devices[:2] == ["far-1", "core-1"]


async def test_engines_are_remembered_over_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "traps.json"
    users = {"u": user("sha256", "aes128")}
    sent = [*options("sha256", "aes128"), "-e", ENGINE]
    async with receiving(users, state=state) as running:
        # -Z sets the sender's boots and time.
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


async def test_one_socket_receives_ipv4_and_ipv6() -> None:
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
    devices = {row.tags["device"] for row in running.journal.rows("link_down")}
    assert devices == {"core-1", "six"}
