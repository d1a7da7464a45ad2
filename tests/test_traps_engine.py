"""Engine ids, clocks and keys decide whether a notification is authentic."""

from __future__ import annotations

from pathlib import Path

import pytest
from encoded_traps import PLAIN, encode_v3, link_down, make_senders, trap, v3_trap
from trap_harness import ESTATE

from collectors.snmp.session import ber, usm_keys
from collectors.snmp.traps import TrapsConfig, trap_message
from collectors.snmp.traps.local_engine import LocalEngine
from collectors.snmp.traps.trap_senders import TrapSenders
from collectors.snmp.traps.usm import TrapRefused


def test_keys_match_the_examples_of_the_rfcs() -> None:
    # RFC 3414 appendix A.3.2 and A.5.2; RFC 3826 takes its first 16 octets.
    engine = bytes.fromhex("000000000000000000000002")
    key = usm_keys.password_to_key(b"maplesyrup", "sha1")
    assert key.hex() == "9fb5cc0381497b3793528939ff788d5d79145211"
    assert (
        usm_keys.localise(key, engine, "sha1").hex()
        == "6695febc9288e36282235fc7151f128497b38f3f"
    )
    key = usm_keys.password_to_key(b"maplesyrup", "md5")
    md5 = usm_keys.localise(key, engine, "md5")
    assert md5.hex() == "526f5eed9fcce26f8964c2930787d82b"


def test_an_encrypted_trap_is_accepted_once() -> None:
    senders = make_senders()
    admitted = senders.authenticate(v3 := v3_trap(), "127.0.0.1", 0.0)
    assert admitted.device.id == "core-1"
    assert admitted.pdu.trap == "1.3.6.1.6.3.1.1.5.3"
    with pytest.raises(TrapRefused) as again:
        senders.authenticate(v3, "127.0.0.1", 1.0)
    assert again.value.reason == "repeated"


def test_a_senders_clock_may_not_go_back() -> None:
    engine = LocalEngine(None, "", 0.0, 0.0)
    assert engine.update_clock("10.0.0.1", b"far", 3, 1_000, 0.0)
    assert engine.update_clock("10.0.0.1", b"far", 3, 900, 1.0)
    assert not engine.update_clock("10.0.0.1", b"far", 3, 840, 1.0)
    assert not engine.update_clock("10.0.0.1", b"far", 2, 9_000, 1.0)
    # Its clock is expected to run on while nothing is received.
    assert not engine.update_clock("10.0.0.1", b"far", 3, 1_000, 500.0)
    assert engine.update_clock("10.0.0.1", b"far", 4, 0, 500.0)
    # A clone at another address has its own clock.
    assert engine.update_clock("10.0.0.2", b"far", 1, 5, 500.0)


def test_an_engine_id_of_two_devices_is_logged_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = LocalEngine(None, "", 0.0, 0.0)
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"):
        engine.update_clock(address, b"clone", 1, 5, 0.0)
    assert engine.addresses(b"clone") == ["10.0.0.1", "10.0.0.2"]
    assert capsys.readouterr().out.count("traps_engine_id_shared") == 1


def test_a_device_at_an_unknown_address_is_recognised_by_its_engine_id() -> None:
    senders = make_senders()
    far = b"\x80\0\0\0\x05far"
    with pytest.raises(TrapRefused) as stranger:
        senders.authenticate(v3_trap(), "10.77.0.1", 0.0)
    assert stranger.value.reason == "unknown_source"
    senders.authenticate(encode_v3(far, 3, 100), "127.0.0.1", 1.0)
    admitted = senders.authenticate(encode_v3(far, 3, 101), "10.77.0.1", 2.0)
    assert admitted.device.id == "core-1"
    # v2c proves no engine id.
    with pytest.raises(TrapRefused):
        senders.authenticate(link_down(1), "10.77.0.1", 3.0)


def test_forwarders_and_further_addresses_are_configured() -> None:
    config = TrapsConfig.model_validate(
        {"port": 0, "addresses": {"10.9.0.1": "core-1"}, "forwarders": ["10.8.0.0/24"]}
    )
    engine = LocalEngine(None, "", 0.0, 0.0)
    senders = TrapSenders(config, lambda: ESTATE, [PLAIN], engine)
    assert senders.authenticate(link_down(1), "10.9.0.1", 0.0).device.id == "core-1"
    stated = (
        trap_message.SNMP_TRAP_ADDRESS,
        ber.tlv(ber.IP_ADDRESS, bytes((10, 9, 9, 9))),
    )
    relayed = trap("1.3.6.1.6.3.1.1.5.1", stated)
    assert senders.authenticate(relayed, "10.8.0.7", 0.0).device.id == "far-1"
    # A forwarded trap without the original sender is refused.
    with pytest.raises(TrapRefused):
        senders.authenticate(link_down(1), "10.8.0.7", 0.0)


def test_boots_count_restarts_and_the_engine_id_stays(tmp_path: Path) -> None:
    file = tmp_path / "traps.json"
    first = LocalEngine(file, "", 0.0, 1_000.0)
    first.update_clock("10.0.0.1", b"far", 3, 1_000, 10.0)
    first.write_state(first.encode_state(10.0, 1_010.0))
    second = LocalEngine(file, "", 5.0, 1_500.0)
    assert (second.id, second.boots) == (first.id, first.boots + 1)
    # 490 s have passed, so a message with that time is a replay.
    assert not second.update_clock("10.0.0.1", b"far", 3, 1_000, 5.0)
    assert second.update_clock("10.0.0.1", b"far", 3, 1_490, 5.0)
    file.write_text("{")
    assert LocalEngine(file, "", 0.0, 0.0).boots == 1
