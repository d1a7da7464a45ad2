"""Settings and policies: checked, overridden, and never a surprise."""

import contextlib
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.agent.settings import (
    BadSettings,
    Settings,
    decode_settings,
    load_settings,
)
from probes.wire.laptop_probes import VPN
from probes.wire.path_probes import BANDWIDTH, CALL_PATH
from probes.wire.policy import Policy
from probes.wire.policy import decode as decode_policy
from probes.wire.service_probes import WEB


def wrong(text: str, **environment: str) -> str:
    with pytest.raises(BadSettings) as error:
        decode_settings(text, "agent.toml", environment)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('sever = "x"', "no setting is called 'sever'; did you mean 'server'?"),
        ("[mqtt]\nprot = 1", "'mqtt.prot'; did you mean 'port'?"),
        ('[mqtt]\nport = "x"', "mqtt.port: expected `int`"),
        ("mqtt = 3", "write [mqtt]"),
        ('opt_out = ["wep"]', "did you mean 'web'?"),
        ('hours = {opens = "25:00"}', "hours.opens: "),
        ("[spool]\nmax_bytes = 3", "spool.max_bytes: expected `int` >= 100000"),
        ('transport = "carrier"', "transport: "),
        ('transport = "mqtt"', "mqtt.host is needed"),
        ('server = "towpath.example"', "expected an address"),
        ('server = "http://towpath.example"', "expected https://"),
        ('server = "http://127.0.0.1.evil.example"', "expected https://"),
        ('ca_file = "/no/such.pem"', "there is no file"),
        ("= 1", "is not TOML"),
    ],
)
def test_a_wrong_setting_is_named_by_its_path(text: str, says: str) -> None:
    assert says in wrong(text)


def test_the_environment_goes_before_the_file() -> None:
    settings = decode_settings(
        'server = "https://a.example"\n[mqtt]\nport = 1',
        "agent.toml",
        {
            "TOWPATH_AGENT_MQTT__PORT": "8884",
            "TOWPATH_AGENT_MQTT__TLS": "false",
            "TOWPATH_AGENT_OPT_OUT": "web, bandwidth",
            "TOWPATH_AGENT_SPOOL__MAX_DAYS": "3",
            "TOWPATH_AGENT_HOURS__DAYS": "0,1",
            "HOME": "/",
        },
    )
    assert settings.server == "https://a.example"
    assert (settings.mqtt.port, settings.mqtt.tls) == (8884, False)
    assert settings.opt_out == ("web", "bandwidth")
    assert settings.spool.max_days == 3
    assert settings.measuring_hours().days == (0, 1)


def test_a_wrong_name_or_value_in_the_environment_is_named() -> None:
    message = wrong("", TOWPATH_AGENT_MQTT__PROT="1")
    assert "did you mean 'TOWPATH_AGENT_MQTT__PORT'" in message
    assert "TOWPATH_AGENT_ACK_S" in wrong("", TOWPATH_AGENT_ACK_S="soon")
    assert "sets nothing" in wrong("", TOWPATH_AGENT_MQTT="x")


def test_without_a_file_the_defaults_hold_and_a_named_one_must_be_there(
    tmp_path: Path,
) -> None:
    assert decode_settings("", "x", {}) == Settings()
    with pytest.raises(BadSettings, match="there is no settings file"):
        load_settings(tmp_path / "none.toml", {})
    binary = tmp_path / "agent.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(BadSettings, match="cannot be read"):
        load_settings(binary, {})


@given(st.text(max_size=200))
def test_no_text_breaks_the_settings(text: str) -> None:
    with contextlib.suppress(BadSettings):
        decode_settings(text, "agent.toml", {})
        tomllib.loads(text)


@given(
    st.dictionaries(
        st.sampled_from(["server", "mqtt", "spool", "opt_out", "hours", "ack_s", "x"]),
        st.one_of(st.integers(), st.text(max_size=5), st.lists(st.integers())),
    )
)
def test_no_wrong_type_breaks_the_settings(tree: dict[str, object]) -> None:
    lines = []
    for key, value in tree.items():
        shown = msgspec.json.encode(value).decode()
        lines.append(f"{key} = {shown}")
    with contextlib.suppress(BadSettings):
        decode_settings("\n".join(lines), "agent.toml", {})


@given(st.binary(max_size=300))
def test_no_bytes_break_the_policy(body: bytes) -> None:
    with contextlib.suppress(msgspec.DecodeError):
        decode_policy(body)


def test_a_policy_is_lenient_to_the_new_and_strict_to_the_wrong() -> None:
    assert decode_policy(b'{"tomorrow": 1}') == Policy()
    for body in (
        b'{"report_s": -1}',
        b'{"reflectors": [{"id": "a"}]}',
        b'{"hours": {"opens": "9"}}',
        b'{"names": ' + msgspec.json.encode(["a"] * 99) + b"}",
        b"[" * 100_000,
        b" " * 300_000,
    ):
        with pytest.raises(msgspec.DecodeError):
            decode_policy(body)


def test_a_metered_line_is_spared_unless_the_policy_sets_a_cadence() -> None:
    usual = Policy(cadence_s={"web": 60})
    assert CALL_PATH.cadence_s(usual, metered=False) == 900
    assert CALL_PATH.cadence_s(usual, metered=True) == 7200
    assert WEB.cadence_s(usual, metered=True) == 360
    assert VPN.cadence_s(usual, metered=True) == 300
    assert BANDWIDTH.cadence_s(usual, metered=True) == 0
    policy = Policy(metered_cadence_s={"call_path": 7})
    assert CALL_PATH.cadence_s(policy, metered=True) == 7
