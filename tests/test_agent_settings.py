"""Settings and policies: checked, overridden, and never a surprise."""

import contextlib
import plistlib
import tempfile
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probes.agent.enrolment_token import EnrolmentToken, read_token
from probes.agent.settings import BadSettings, Settings
from probes.agent.settings_layers import (
    SettingRow,
    load_settings,
    merge_settings,
    setting_rows,
)
from probes.platforms.system_facts import ManagedSettings
from probes.platforms.system_settings import read_preferences, read_toml_folder
from probes.wire.laptop_probes import VPN
from probes.wire.path_probes import BANDWIDTH, CALL_PATH
from probes.wire.policy import Policy
from probes.wire.policy import decode as decode_policy
from probes.wire.service_probes import WEB


def wrong(text: str, **environment: str) -> str:
    with pytest.raises(BadSettings) as error:
        merge_settings(text, "agent.toml", environment, ())
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('sever = "x"', "no setting is called 'sever'; did you mean 'server'?"),
        ("[mqtt]\nprot = 1", "'mqtt.prot'; did you mean 'port'?"),
        (
            '[mqtt]\nport = "x"',
            "mqtt.port: expected a whole number from 1 to 65535, got 'x'",
        ),
        ("mqtt = 3", "write [mqtt]"),
        ('opt_out = ["wep"]', "did you mean 'web'?"),
        (
            'hours = {opens = "25:00"}',
            "hours.opens: expected a time such as 08:30, got '25:00'",
        ),
        (
            "[spool]\nmax_bytes = 3",
            "spool.max_bytes: expected a whole number from 100000 up, got 3",
        ),
        (
            'transport = "http"',
            "expected https or mqtt, got 'http'; did you mean 'https'?",
        ),
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
    settings = merge_settings(
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
        (),
    ).settings
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
    assert merge_settings("", "x", {}, ()).settings == Settings()
    with pytest.raises(BadSettings, match="there is no settings file"):
        load_settings(tmp_path / "none.toml", {})
    binary = tmp_path / "agent.toml"
    binary.write_bytes(b"\xfe\xfe")
    with pytest.raises(BadSettings, match="cannot be read"):
        load_settings(binary, {})


@given(st.text(max_size=200))
def test_no_text_breaks_the_settings(text: str) -> None:
    with contextlib.suppress(BadSettings):
        merge_settings(text, "agent.toml", {}, ())
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
        merge_settings("\n".join(lines), "agent.toml", {}, ())


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


def policy(values: dict[str, object], where: str = r"HKLM\Policies") -> ManagedSettings:
    return ManagedSettings(where, values, True)


def installer(values: dict[str, object]) -> ManagedSettings:
    return ManagedSettings("MSI", values, False)


def test_the_councils_policy_goes_before_all_and_each_source_is_named() -> None:
    loaded = merge_settings(
        'server = "https://file.example"\nack_s = 40\n[spool]\nmax_days = 5',
        "agent.toml",
        {"TOWPATH_AGENT_SERVER": "https://environment.example"},
        [
            ManagedSettings(
                "installer", {"server": "https://i.example", "ack_s": 7}, False
            ),
            policy(
                {"server": "https://policy.example", "mqtt": {"tls": 0, "port": "1883"}}
            ),
        ],
    )
    settings, origins = loaded.settings, loaded.origins
    assert settings.server == "https://policy.example"
    assert (settings.ack_s, settings.spool.max_days) == (40, 5)
    assert (settings.mqtt.tls, settings.mqtt.port) == (False, 1883)
    assert origins["server"] == r"HKLM\Policies"
    assert origins["ack_s"] == origins["spool.max_days"] == "agent.toml"
    assert origins["transport"] == "default"
    installed = merge_settings(
        "", "x", {}, [ManagedSettings("MSI", {"ack_s": 7}, False)]
    )
    assert (installed.settings.ack_s, installed.origins["ack_s"]) == (7, "MSI")


def test_what_a_person_does_not_allow_stays_so() -> None:
    loaded = merge_settings(
        'opt_out = ["web"]',
        "agent.toml",
        {"TOWPATH_AGENT_OPT_OUT": "vpn"},
        [policy({"opt_out": ["bandwidth", "web"]})],
    )
    assert loaded.settings.opt_out == ("web", "vpn", "bandwidth")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"servr": "x"}, "no setting is called 'servr'; did you mean 'server'?"),
        (
            {"ack_s": b"\1\0"},
            "ack_s: expected a whole number from 1 to 86400, got 2 bytes",
        ),
        (
            {"ack_s": "soon"},
            "ack_s: expected a whole number from 1 to 86400, got 'soon'",
        ),
        ({"ack_s": 0}, "ack_s: expected a whole number from 1 to 86400, got 0"),
        ({"mqtt": "x"}, "mqtt is a section"),
        ({"mqtt": {"prot": 1}}, "'mqtt.prot'; did you mean 'port'?"),
        ({"opt_out": ["wep"]}, "did you mean 'web'?"),
        ({"server": 3}, "server: expected a text, got 3"),
        (
            {"mqtt": {"tls": "maybe"}},
            "mqtt.tls: expected true or false (in the registry",
        ),
        (
            {"hours": {"days": ["mo"]}},
            "hours.days: expected a list, each a whole number f",
        ),
        ({"hours": {"days": "5,7"}}, "from 0 to 6, got '5,7'"),
        (
            {"enrolment_token": b"hunter2"},
            "expected a text; what is there is not shown",
        ),
        ({"spool": {"max_days": "9" * 5000}}, "got '99999"),
    ],
)
def test_a_wrong_policy_is_named_with_its_place(
    values: dict[str, object], says: str
) -> None:
    with pytest.raises(BadSettings) as error:
        merge_settings("", "x", {}, [policy(values)])
    assert str(error.value).startswith("HKLM\\Policies: ")
    assert says in str(error.value)


def test_policy_files_are_read_by_name_and_a_broken_one_is_named(
    tmp_path: Path,
) -> None:
    (tmp_path / "20-hall.toml").write_text("ack_s = 20")
    (tmp_path / "10-all.toml").write_text('ack_s = 10\nserver = "https://a.example"')
    (tmp_path / "notes.txt").write_text("= not read")
    managed = read_toml_folder(tmp_path)
    loaded = merge_settings("ack_s = 5", "agent.toml", {}, managed)
    assert (loaded.settings.ack_s, loaded.settings.server) == (20, "https://a.example")
    assert loaded.origins["ack_s"] == str(tmp_path / "20-hall.toml")
    (tmp_path / "30-broken.toml").write_bytes(b"\xff")
    with pytest.raises(BadSettings, match=r"30-broken\.toml cannot be read"):
        load_settings(None, {}, read_toml_folder(tmp_path))
    assert read_toml_folder(tmp_path / "none") == []


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(BadSettings) as error:
        merge_settings(
            'sever = "x"\nack_s = "y"\nserver = "towpath"',
            "agent.toml",
            {"TOWPATH_AGENT_MQTT__PORT": "0"},
            [
                policy({"opt_outs": 1, "spool": {"max_days": "soon", "max_day": 1}}),
                ManagedSettings("/etc/b.toml", {}, True, "/etc/b.toml is not TOML"),
            ],
        )
    assert list(error.value.problems) == [
        "/etc/b.toml is not TOML",
        r"HKLM\Policies: no setting is called 'opt_outs'; did you mean 'opt_out'?",
        r"HKLM\Policies: spool.max_days: expected a whole number from 1 to 366, "
        "got 'soon'",
        r"HKLM\Policies: no setting is called 'spool.max_day'; did you mean "
        "'max_days'?",
        "agent.toml: no setting is called 'sever'; did you mean 'server'?",
        "agent.toml: ack_s: expected a whole number from 1 to 86400, got 'y'",
        "the environment's TOWPATH_AGENT_MQTT__PORT: expected a whole number from 1 to "
        "65535, got '0'",
        "agent.toml: server is 'towpath', expected an address such as "
        "https://towpath.example.gov.uk",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_of_any_editor_are_read(encoding: str, tmp_path: Path) -> None:
    text = 'state_folder = "/srv/Zo\u00eb M\u00fcller"\r\nenrolment_token = "t1"\r\n'
    path = tmp_path / "10-all.toml"
    path.write_bytes(text.encode(encoding))
    for loaded in (
        load_settings(path, {}, ()),
        load_settings(None, {}, read_toml_folder(tmp_path)),
    ):
        assert loaded.settings.state_folder == "/srv/Zo\u00eb M\u00fcller"
    token = EnrolmentToken(loaded.settings, path, {})
    assert token.forget() == []
    rest = 'state_folder = "/srv/Zo\u00eb M\u00fcller"\r\n'
    assert path.read_bytes() == rest.encode(encoding)
    (tmp_path / "token").write_bytes("t2\r\n".encode(encoding))
    assert read_token(tmp_path / "token") == "t2"


def test_a_policy_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (managed,) = read_toml_folder(tmp_path / "file")
    assert f"{tmp_path / 'file'} cannot be read: " in managed.trouble
    (tmp_path / "10-latin.toml").write_bytes('server = "\u00eb"'.encode("latin-1"))
    (tmp_path / "20-folder.toml").mkdir()
    latin, folder = read_toml_folder(tmp_path)
    assert latin.trouble.endswith(
        "10-latin.toml cannot be read: it is not UTF-8 (at byte 10): save it as UTF-8"
    )
    assert "20-folder.toml cannot be read: " in folder.trouble


DAMAGED_PLIST = [
    plistlib.dumps({"ack_s": 9, "opt_out": ["a"], "d": b"x"}, fmt=kind)
    for kind in (plistlib.FMT_BINARY, plistlib.FMT_XML)
]
# Its only name is the binary format's "null".
NAMELESS_PLIST = plistlib.dumps({"a": 1}, fmt=plistlib.FMT_BINARY).replace(
    b"\x51a", b"\x00a"
)


@given(
    st.sampled_from(DAMAGED_PLIST),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
)
@example(NAMELESS_PLIST, [])
@example(b"<plist><dict><key>a</key><date>soon</date></dict></plist>", [])
def test_no_damage_to_managed_preferences_raises(
    good: bytes, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(good)
    for at, octet in changes:
        content[at % len(content)] = octet
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "uk.towpath.agent.plist")
        path.write_bytes(content)
        (managed,) = read_preferences(path)
        with contextlib.suppress(BadSettings):
            merge_settings("", "x", {}, [managed])


def test_managed_preferences_of_macos_are_read(tmp_path: Path) -> None:
    path = tmp_path / "uk.towpath.agent.plist"
    assert read_preferences(path) == []
    path.write_bytes(
        plistlib.dumps({"ack_s": 9, "PayloadUUID": "x", "mqtt": {"tls": False}})
    )
    loaded = merge_settings("", "x", {}, read_preferences(path))
    assert (loaded.settings.ack_s, loaded.settings.mqtt.tls) == (9, False)
    for broken in (b"", b"<plist", plistlib.dumps(["a"])):
        path.write_bytes(broken)
        (managed,) = read_preferences(path)
        assert str(path) in managed.trouble


def test_every_setting_is_shown_with_its_source_and_no_token() -> None:
    text = 'enrolment_token = "hunter2"\nserver = "https://a.example"'
    rows = {
        row.name: row for row in setting_rows(merge_settings(text, "f.toml", {}, ()))
    }
    assert rows["server"] == SettingRow("server", '"https://a.example"', "f.toml")
    assert rows["enrolment_token"].value == "(not shown)"
    assert rows["mqtt.port"] == SettingRow("mqtt.port", "8883", "default")
    assert rows["hours.days"].value == "[0,1,2,3,4,5,6]"


@given(
    st.dictionaries(
        st.sampled_from(["server", "mqtt", "spool", "opt_out", "hours", "ack_s", "x"]),
        st.one_of(
            st.integers(),
            st.text(max_size=5),
            st.binary(max_size=3),
            st.lists(st.text(max_size=3)),
            st.dictionaries(st.sampled_from(["port", "tls", "host"]), st.integers()),
        ),
    )
)
def test_no_policy_breaks_the_settings(values: dict[str, object]) -> None:
    with contextlib.suppress(BadSettings):
        merge_settings('opt_out = ["web"]', "x", {}, [policy(values)])
