"""Writes the administrative templates of the agent's policy for Windows (ADMX, ADML),
and a profile with managed preferences for macOS: `python tests/policy_templates.py`, as
part of `make docs`.

The settings come from `probes.agent.settings`, their explanations from the table in
docs/settings.md, so that a new setting is a policy too.
"""

from __future__ import annotations

import plistlib
import re
import uuid
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec

from probes.agent.settings import Settings
from probes.agent.settings_layers import setting_types
from probes.platforms.system_settings import POLICY_KEY

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "deploy" / "agent" / "windows"
ADMX, ADML = FOLDER / "towpath-agent.admx", FOLDER / "en-GB" / "towpath-agent.adml"
PROFILE = ROOT / "deploy" / "agent" / "macos" / "towpath-agent.mobileconfig"
# The domain of the preferences, which is the name of their file on a Mac.
DOMAIN = "uk.towpath.agent"
# What a council changes in the profile before it is used.
SAMPLE = {"server": "https://towpath.example.gov.uk:8443", "ring": "pilot"}
# Every user of a laptop can read a policy, so no secret is one.
SECRET = {"enrolment_token"}
_NAMESPACE = "http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions"
_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
# The largest number of a registry value of the kind DWORD.
_MOST = 4_294_967_295
# What Windows itself allows a text.
_LONGEST = 1_023
_CATEGORY = "towpath_agent"
_DEFAULTS = msgspec.to_builtins(Settings())


def templates() -> tuple[str, str]:
    """The text of both files."""
    policies, strings, presentations = [], [], []
    strings.append(_string(_CATEGORY, "Towpath agent"))
    strings.append(_string("supported", "Towpath agent 0.1 and later"))
    explanations = explained()
    for dotted, kind in setting_types().items():
        if dotted in SECRET:
            continue
        name = dotted.replace(".", "_")
        section = dotted.rpartition(".")[0]
        key = rf"{POLICY_KEY}\{section}" if section else POLICY_KEY
        element, inside, choices = _element(name, dotted, kind)
        shown = f' presentation="$(presentation.{name})"' if element else ""
        policies.append(
            f'    <policy name="{name}" class="Machine" '
            f'displayName="$(string.{name})" explainText="$(string.{name}_help)" '
            f"key={quoteattr(key)}{shown}{inside}"
        )
        strings.append(_string(name, f"Set {dotted}"))
        strings.append(_string(f"{name}_help", explanations[dotted]))
        strings += [_string(f"{name}_{choice}", choice) for choice in choices]
        if element:
            presentations.append(
                f'      <presentation id="{name}">{element}</presentation>'
            )
    return _admx(policies), _adml(strings, presentations)


def explained() -> dict[str, str]:
    """The meaning of each setting of agent.toml in docs/settings.md, without marks."""
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    table = page.partition("\n## agent.toml\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \| (.*) \|$", table, re.MULTILINE)
    return {
        name: f"{meaning.replace('`', '')} Default: {default.strip('`')}."
        for name, default, meaning in rows
    }


def _element(name: str, dotted: str, kind: Any) -> tuple[str, str, tuple[str, ...]]:
    """The control that shows a setting, the rest of its policy, and its choices."""
    section, _, value = dotted.rpartition(".")
    default = (_DEFAULTS[section] if section else _DEFAULTS)[value]
    parent = (
        f'      <parentCategory ref="{_CATEGORY}" />\n'
        '      <supportedOn ref="supported" />\n'
    )
    end = "    </policy>"

    def with_element(element: str) -> str:
        return f">\n{parent}      <elements>{element}</elements>\n{end}"

    named = f'id="{name}" valueName="{value}"'
    if kind is bool:
        values = "".join(
            f'      <{word}Value><decimal value="{number}" /></{word}Value>\n'
            for word, number in (("enabled", 1), ("disabled", 0))
        )
        return "", f' valueName="{value}">\n{parent}{values}{end}', ()
    if "tuple" in str(kind):
        control = f'<multiTextBox refId="{name}">{dotted}</multiTextBox>'
        return control, with_element(f"<multiText {named} />"), ()
    if "Literal" in str(kind):
        choices = kind.__args__
        items = "".join(
            f'<item displayName="$(string.{name}_{choice})">'
            f"<value><string>{choice}</string></value></item>"
            for choice in choices
        )
        control = (
            f'<dropdownList refId="{name}" defaultItem="{choices.index(default)}">'
            f"{dotted}</dropdownList>"
        )
        return control, with_element(f"<enum {named}>{items}</enum>"), choices
    meta = msgspec.inspect.type_info(kind)
    if isinstance(meta, msgspec.inspect.IntType):
        least, most = meta.ge or 0, meta.le or _MOST
        limits = f'minValue="{least}" maxValue="{most}"'
        control = (
            f'<decimalTextBox refId="{name}" defaultValue="{default}">{dotted}'
            "</decimalTextBox>"
        )
        return control, with_element(f"<decimal {named} {limits} />"), ()
    longest = getattr(meta, "max_length", None) or _LONGEST
    begun = f"<defaultValue>{default}</defaultValue>" if default else ""
    control = f'<textBox refId="{name}"><label>{dotted}</label>{begun}</textBox>'
    return control, with_element(f'<text {named} maxLength="{longest}" />'), ()


def _string(id: str, text: str) -> str:
    return f'      <string id="{id}">{escape(text)}</string>'


def _admx(policies: list[str]) -> str:
    return (
        f'{_HEAD}<policyDefinitions xmlns="{_NAMESPACE}" revision="1.0" '
        'schemaVersion="1.0">\n'
        "  <policyNamespaces>\n"
        '    <target prefix="towpath" namespace="Towpath.Policies.Agent" />\n'
        "  </policyNamespaces>\n"
        '  <resources minRequiredRevision="1.0" />\n'
        "  <supportedOn>\n    <definitions>\n"
        '      <definition name="supported" displayName="$(string.supported)" />\n'
        "    </definitions>\n  </supportedOn>\n"
        "  <categories>\n"
        f'    <category name="{_CATEGORY}" displayName="$(string.{_CATEGORY})" />\n'
        "  </categories>\n"
        "  <policies>\n" + "\n".join(policies) + "\n  </policies>\n"
        "</policyDefinitions>\n"
    )


def _adml(strings: list[str], presentations: list[str]) -> str:
    return (
        f'{_HEAD}<policyDefinitionResources xmlns="{_NAMESPACE}" revision="1.0" '
        'schemaVersion="1.0">\n'
        "  <displayName>Towpath agent</displayName>\n"
        "  <description>What the Towpath agent measures is the council's policy on its "
        "server; this says where laptops report, and can allow less.</description>\n"
        "  <resources>\n    <stringTable>\n"
        + "\n".join(strings)
        + "\n    </stringTable>\n    <presentationTable>\n"
        + "\n".join(presentations)
        + "\n    </presentationTable>\n  </resources>\n</policyDefinitionResources>\n"
    )


def profile(settings: dict[str, Any]) -> bytes:
    """A configuration profile of macOS that sets `settings` for the whole Mac."""

    def payload(kind: str, name: str, **more: Any) -> dict[str, Any]:
        identifier = f"{DOMAIN}.{name}"
        return {
            "PayloadType": kind,
            "PayloadVersion": 1,
            "PayloadIdentifier": identifier,
            "PayloadUUID": str(uuid.uuid5(uuid.NAMESPACE_DNS, identifier)).upper(),
            "PayloadDisplayName": "Towpath agent",
            **more,
        }

    forced = [{"mcx_preference_settings": settings}]
    preferences = payload(
        "com.apple.ManagedClient.preferences",
        "preferences",
        PayloadEnabled=True,
        PayloadContent={DOMAIN: {"Forced": forced}},
    )
    whole = payload(
        "Configuration",
        "profile",
        PayloadScope="System",
        PayloadOrganization="The council",
        PayloadContent=[preferences],
    )
    return plistlib.dumps(whole)


def write() -> None:
    PROFILE.write_bytes(profile(SAMPLE))
    ADML.parent.mkdir(parents=True, exist_ok=True)
    for path, text in zip((ADMX, ADML), templates(), strict=True):
        path.write_text(text, encoding="utf-8", newline="\r\n")


if __name__ == "__main__":
    write()
