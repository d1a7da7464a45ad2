"""The administrative templates of the agent's policy are current and complete."""

from __future__ import annotations

import plistlib
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import policy_templates

from probes.agent.settings import Settings
from probes.agent.settings_layers import merge_settings, setting_types
from probes.platforms.macos import MANAGED_PREFERENCES
from probes.platforms.system_facts import ManagedSettings
from probes.platforms.system_settings import POLICY_KEY, read_preferences

_NS = {"p": "http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions"}


def test_the_templates_are_current() -> None:
    for path, text in zip(
        (policy_templates.ADMX, policy_templates.ADML),
        policy_templates.templates(),
        strict=True,
    ):
        assert path.read_text("utf-8") == text, "make docs"


def test_the_profile_for_macos_sets_what_the_agent_reads(tmp_path: Path) -> None:
    content = policy_templates.PROFILE.read_bytes()
    assert content == policy_templates.profile(policy_templates.SAMPLE), "make docs"
    whole = plistlib.loads(content)
    (preferences,) = whole["PayloadContent"]
    assert len({whole["PayloadUUID"], preferences["PayloadUUID"]}) == 2
    assert (whole["PayloadType"], whole["PayloadScope"]) == ("Configuration", "System")
    ((domain, kept),) = preferences["PayloadContent"].items()
    # As macOS writes it on the Mac, with notes of its own.
    file = tmp_path / f"{domain}.plist"
    values = kept["Forced"][0]["mcx_preference_settings"]
    file.write_bytes(plistlib.dumps({**values, "PayloadUUID": "x"}))
    assert file.name == MANAGED_PREFERENCES.name
    read = merge_settings("", "x", {}, read_preferences(file))
    assert read.settings == Settings(**policy_templates.SAMPLE)
    assert read.origins["server"] == str(file)


def test_every_setting_but_the_token_is_a_policy_with_an_explanation() -> None:
    policies = {
        policy.get("name", "").replace("_", "."): policy
        for policy in ET.parse(policy_templates.ADMX).iterfind(".//p:policy", _NS)
    }
    expected = {name.replace("_", ".") for name in setting_types()}
    assert policies.keys() == expected - {"enrolment.token"}
    texts = {
        string.get("id"): string.text
        for string in ET.parse(policy_templates.ADML).iterfind(".//p:string", _NS)
    }
    shown = {
        presentation.get("id")
        for presentation in ET.parse(policy_templates.ADML).iterfind(
            ".//p:presentation", _NS
        )
    }
    named = policy_templates.ADMX.read_text("utf-8")
    assert set(re.findall(r"\$\(string\.(\w+)\)", named)) == texts.keys()
    assert set(re.findall(r"\$\(presentation\.(\w+)\)", named)) == shown
    assert all(text and "Default: None" not in text for text in texts.values())


def test_every_control_shows_an_element_of_its_policy_and_begins_in_its_limits() -> (
    None
):
    """The rules of Microsoft's schema that tie the two files together."""
    admx = ET.parse(policy_templates.ADMX)
    adml = ET.parse(policy_templates.ADML)
    categories = {c.get("name") for c in admx.iterfind(".//p:category", _NS)}
    systems = {d.get("name") for d in admx.iterfind(".//p:definition", _NS)}
    shown = {p.get("id"): list(p) for p in adml.iterfind(".//p:presentation", _NS)}
    strings = [string.get("id") for string in adml.iterfind(".//p:string", _NS)]
    assert len(strings) == len(set(strings))
    for policy in admx.iterfind(".//p:policy", _NS):
        assert re.fullmatch(r"[\w-]+", policy.get("name", ""))
        (category,) = policy.iterfind("p:parentCategory", _NS)
        (system,) = policy.iterfind("p:supportedOn", _NS)
        assert category.get("ref") in categories
        assert system.get("ref") in systems
        if policy.get("presentation") is None:
            continue
        (element,) = policy.iterfind("p:elements/*", _NS)
        (control,) = shown[policy.get("name")]
        kinds = [part.tag.rpartition("}")[2] for part in (element, control)]
        assert tuple(kinds) in {
            ("text", "textBox"),
            ("decimal", "decimalTextBox"),
            ("enum", "dropdownList"),
            ("multiText", "multiTextBox"),
        }
        assert control.get("refId") == element.get("id")
        assert "".join(control.itertext())
        if kinds[0] == "decimal":
            least, most = int(element.get("minValue", "")), element.get("maxValue", "")
            assert least <= int(control.get("defaultValue", "")) <= int(most)
    texts = {t.get("id"): t.get("maxLength") for t in admx.iterfind(".//p:text", _NS)}
    assert (texts["ring"], texts["server"]) == ("30", "1023")


def test_what_the_templates_write_is_what_the_agent_reads() -> None:
    tree: dict[str, object] = {}
    for policy in ET.parse(policy_templates.ADMX).iterfind(".//p:policy", _NS):
        below = (policy.get("key") or "").removeprefix(POLICY_KEY).strip("\\")
        element = policy.find("p:elements/*", _NS)
        into = tree.setdefault(below, {}) if below else tree
        assert isinstance(into, dict)
        if element is None:
            into[policy.get("valueName")] = 0
            continue
        kind, name = element.tag.rpartition("}")[2], element.get("valueName")
        if kind == "decimal":
            into[name] = int(element.get("minValue") or 0)
        elif kind == "enum":
            (*_, last) = element.iterfind("p:item/p:value/p:string", _NS)
            into[name] = last.text
        elif kind == "multiText":
            into[name] = {"days": ["0", "4"], "opt_out": ["web"]}[name or ""]
        else:
            assert kind == "text"
            into[name] = {
                "server": "https://a.example",
                "host": "b.example",
                "opens": "08:00",
                "closes": "18:00",
            }.get(name or "", "")
    read = merge_settings("", "x", {}, [ManagedSettings("policy", tree, True)])
    assert read.settings.hours.days == (0, 4)
    assert (read.settings.mqtt.tls, read.settings.mqtt.port) == (False, 1)
    assert read.settings.transport == "mqtt"
    assert read.settings != Settings()
    assert set(read.origins.values()) == {"policy", "default"}
