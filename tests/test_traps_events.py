"""Notifications become events, whether the catalogue knows them or not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import services
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.snmp.session.ber import INTEGER, IP_ADDRESS, OCTETS, OID, TICKS
from collectors.snmp.traps.trap_catalog import CatalogError, load
from collectors.snmp.traps.trap_events import TrapEvent, TrapReader
from collectors.snmp.traps.trap_message import TRAP_V2, TrapBind, TrapPdu
from collectors.snmp.traps.trap_text import LEVELS, guess_severity

CATALOG = load()
READER = TrapReader(CATALOG)
IF_INDEX, IF_DESCR = "1.3.6.1.2.1.2.2.1.1", "1.3.6.1.2.1.2.2.1.2"


def event(trap: str, *binds: tuple[str, int, object]) -> TrapEvent:
    made = tuple(TrapBind(oid, tag, value) for oid, tag, value in binds)  # type: ignore[arg-type]
    return READER.to_event(TrapPdu(TRAP_V2, 1, trap, 100, made, "", b""))


def test_a_link_trap_has_its_port_and_requests_a_poll() -> None:
    down = event(
        "1.3.6.1.6.3.1.1.5.3",
        (f"{IF_INDEX}.7", INTEGER, 7),
        (f"{IF_DESCR}.7", OCTETS, b"Gi1/0/7"),
    )
    assert (down.event, down.active, down.link) == ("link_down", 1, True)
    assert (down.port_index, down.port) == (7, "Gi1/0/7")
    up = event("1.3.6.1.6.3.1.1.5.4", (f"{IF_INDEX}.7", INTEGER, 7))
    assert (up.clears, up.severity, up.active) == (("link_down",), "ok", None)


def test_a_port_is_known_by_the_index_of_a_column_alone() -> None:
    result = event(
        "1.3.6.1.4.1.9.9.548.0.2", ("1.3.6.1.4.1.9.9.548.1.3.1.1.2.5.0", 2, 2)
    )
    assert result.port_index == 5
    assert result.text == "Error-disabled: bpduGuard"


def test_a_value_sets_the_severity_and_ends_the_event() -> None:
    state = "1.3.6.1.4.1.9.9.13.1.5.1.3.1"
    name = ("1.3.6.1.4.1.9.9.13.1.5.1.2.1", OCTETS, b"Sw1, PS2")
    failed = event("1.3.6.1.4.1.9.9.13.3.0.9", name, (state, INTEGER, 6))
    assert (failed.event, failed.severity, failed.active) == (
        "power_supply_failed",
        "critical",
        1,
    )
    assert failed.about == "Sw1, PS2"
    recovered = event("1.3.6.1.4.1.9.9.13.3.0.9", name, (state, INTEGER, 1))
    assert (recovered.event, recovered.severity, recovered.active) == (
        "power_supply_failed",
        "ok",
        0,
    )


def test_an_oid_in_v1_form_is_the_same_trap() -> None:
    assert event("1.3.6.1.2.1.33.2.0.1").event == "ups_on_battery"
    assert event("1.3.6.1.2.1.33.2.1").event == "ups_on_battery"
    assert event("1.3.6.1.2.1.15.7.0.2").event == "bgp_down"


def test_a_family_sets_the_severity_of_its_members() -> None:
    base = "1.3.6.1.4.1.25461.2.1.3"
    result = event(
        f"{base}.2.0.1747",
        (f"{base}.1.303.0", INTEGER, 5),
        (f"{base}.1.304.0", OCTETS, b"tunnel London is down"),
        (f"{base}.1.300.0", OCTETS, b"tunnel-status-down"),
    )
    assert result.severity == "critical"
    assert result.text == "tunnel London is down (tunnel-status-down)"


def test_an_unknown_trap_is_a_readable_event() -> None:
    result = event(
        "1.3.6.1.4.1.41112.1.9.0.3",
        ("1.3.6.1.4.1.41112.1.9.1.1.0", OCTETS, b"Fan 2 has failed"),
        ("1.3.6.1.4.1.41112.1.9.1.2.0", INTEGER, 4),
        ("1.3.6.1.2.1.1.5.0", OCTETS, b"sw-library"),
        ("1.3.6.1.4.1.41112.1.9.1.3.0", OCTETS, bytes.fromhex("788a20aabbcc")),
        ("1.3.6.1.4.1.41112.1.9.1.4.0", TICKS, 360_000),
        ("1.3.6.1.4.1.41112.1.9.1.5.0", IP_ADDRESS, "10.1.2.3"),
        ("1.3.6.1.4.1.41112.1.9.1.6.0", OID, "1.3.6.1.2.1.2.2.1.8.3"),
    )
    assert result.event == "trap 1.3.6.1.4.1.41112.1.9.0.3"
    assert result.severity == "critical"
    assert result.text.startswith("Ubiquiti trap")
    for part in ("Fan 2 has failed", "sysName sw-library", "10.1.2.3", "1 h"):
        assert part in result.text
    assert "78:8a:20:aa:bb:cc" in result.text
    assert "ifOperStatus.3" in result.text


def test_names_of_persons_and_wireless_clients_are_not_kept() -> None:
    changed = event(
        "1.3.6.1.4.1.2636.4.5.0.1",
        ("1.3.6.1.4.1.2636.3.18.1.7.1.5.54", OCTETS, b"j.bloggs"),
    )
    assert "bloggs" not in changed.text
    assert event("1.3.6.1.4.1.14179.2.6.3.1", ("1.3.6", OCTETS, b"x")).personal


def test_names_of_unknown_traps_are_bounded() -> None:
    reader = TrapReader(CATALOG)
    names = {
        reader.to_event(
            TrapPdu(TRAP_V2, 1, f"1.3.6.1.4.1.55555.{n}", 1, (), "", b"")
        ).event
        for n in range(3_000)
    }
    assert len(names) <= 2_001


@pytest.mark.parametrize(
    ("values", "severity"),
    [
        ((b"critical", b"Under voltage"), "critical"),
        ((b"critical", b"deactivated", b"Under voltage"), "ok"),
        ((b"Nightly job low", b"Success"), "ok"),
        ((b"Minor", b"AP is not responding"), "warning"),
        ((b"Informational", b"radio error count"), "info"),
        ((b"temperatureOutOfRange",), "warning"),
        ((b"Fan 1 speed is back to normal",), "ok"),
        ((), "info"),
    ],
)
def test_a_severity_that_the_sender_states_counts_most(
    values: tuple[bytes, ...], severity: str
) -> None:
    binds = [
        (f"1.3.6.1.4.1.55555.1.{n}.0", OCTETS, value) for n, value in enumerate(values)
    ]
    assert event("1.3.6.1.4.1.55555.0.1", *binds).severity == severity


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("power supply 2 failed", "critical"),
        ("Overload condition has cleared.", "ok"),
        ("fan is back to normal", "ok"),
        ("not responding", "warning"),
        ("COVER OPEN", "warning"),
        ("temperature exceeds threshold", "warning"),
        ("upsReturnFromBypass no longer on bypass", "ok"),
        ("configuration changed", "notice"),
        ("hello", "info"),
    ],
)
def test_words_show_the_severity(text: str, severity: str) -> None:
    assert guess_severity(text) == severity


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(CATALOG.by_oid)),
            st.lists(st.integers(0, 2**32 - 1), max_size=4),
            st.integers(0, 255),
            st.one_of(st.none(), st.integers(), st.binary(max_size=300), st.text()),
        ),
        max_size=20,
    ),
    st.sampled_from(sorted(CATALOG.traps)),
)
@settings(max_examples=200, deadline=None)
def test_no_values_break_any_trap(binds: list[object], trap: str) -> None:
    made = tuple(
        TrapBind(".".join([oid, *map(str, index)]), tag, value)
        for oid, index, tag, value in binds  # type: ignore[misc]
    )
    result = READER.to_event(TrapPdu(TRAP_V2, 1, trap, 1, made, "", b""))
    assert result.severity in LEVELS
    assert len(result.text) <= 500
    assert len(result.about) <= 64


def test_a_wrong_file_is_refused_with_file_line_and_reason(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        """
traps:
  ourTrap: {oid: 1.3.6.1.4.1.99999.0.1, event: our_event, text: "{ifNam} has gone"}
  badTrap: {oid: "1.3.6.x", severity: awful, colour: red}
"""
    )
    with pytest.raises(CatalogError) as refused:
        load(tmp_path)
    text = "\n".join(refused.value.findings)
    assert "own.yaml:4" in text
    for part in ("severity", "colour", "oid"):
        assert part in text
    (tmp_path / "own.yaml").write_text(
        'traps:\n  ourTrap: {oid: 1.3.6.1.4.1.99999.0.1, text: "{ifNam} has gone"}\n'
    )
    with pytest.raises(
        CatalogError, match=r"own.yaml:2.*'ifNam'.*did you mean.*ifName"
    ):
        load(tmp_path)


def test_a_councils_own_file_wins(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "traps:\n"
        "  linkDown: {oid: 1.3.6.1.6.3.1.1.5.3, event: link_down, severity: critical}\n"
    )
    reader = TrapReader(load(tmp_path))
    result = reader.to_event(TrapPdu(TRAP_V2, 1, "1.3.6.1.6.3.1.1.5.3", 1, (), "", b""))
    assert (result.event, result.severity) == ("link_down", "critical")


@pytest.mark.corpus
def test_recorded_traps_become_events_of_like_severity(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Compare with what another monitor makes of 273 traps, at most one level apart.

    The catalogue turns names into OIDs. A name that it does not know gets an OID of no
    vendor, as from a device with an unknown MIB.
    """
    path = services.corpus("traps", "librenms_traps.json")
    traps = json.loads(path.read_text(encoding="utf-8"))["traps"]
    theirs = {"Ok": 0, "Info": 1, "Notice": 2, "Warning": 3, "Error": 4}
    named = judged = like = 0
    unlike: dict[str, list[str]] = {}
    for trap in traps:
        pdu = _numbered(trap)
        result = READER.to_event(pdu)
        assert result.text or result.personal
        named += not result.event.startswith("trap ")
        severity = trap["reference_severity"]
        if not severity or result.personal:
            continue
        judged += 1
        # An end of an event is ok there and may be info here.
        if abs(theirs[severity[0]] - result.level) <= 1:
            like += 1
        else:
            unlike.setdefault(trap["trap_oid"], []).append(
                f"{severity[0]} but {result.severity}: {result.text[:90]}"
            )
    with capsys.disabled():
        print(
            f"\n{len(traps)} recorded traps: {named} known by name; of {judged} with a "
            f"severity {like} within a step ({like / judged:.0%})"
        )
    assert like / judged > 0.8, unlike


def _numbered(trap: dict[str, object]) -> TrapPdu:
    names = {name: oid for oid, name in CATALOG.by_oid.items()}
    binds = []
    for bind in trap["varbinds"]:  # type: ignore[attr-defined]
        full = bind["oid"].partition("::")[2]
        name, _, index = full.partition(".")
        if name in ("sysUpTimeInstance", "snmpTrapOID", "sysUpTime"):
            continue
        oid = names.get(name, f"1.3.6.1.4.1.54321.1.{len(binds)}")
        if re.fullmatch(r"[\d.]+", index):
            oid += f".{index}"
        binds.append(_bind(oid, name, bind["value"]))
    short = str(trap["trap_oid"]).partition("::")[2]
    name, _, index = short.partition(".")
    oid = names.get(short) or f"{names.get(name, '1.3.6.1.4.1.54321.0.1')}.{index}"
    oid = oid.rstrip(".")
    return TrapPdu(TRAP_V2, 1, oid, 1, tuple(binds), "", b"")


def _bind(oid: str, name: str, value: str) -> TrapBind:
    known = CATALOG.objects.get(name)
    if known is not None:
        for number, word in known.values.items():
            if word.lower() == value.lower():
                return TrapBind(oid, INTEGER, number)
    if re.fullmatch(r"-?\d{1,18}", value):
        return TrapBind(oid, INTEGER, int(value))
    return TrapBind(oid, OCTETS, value.strip('"').encode())
