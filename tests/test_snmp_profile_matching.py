"""Profiles find their devices by OID, by description, and by what the device holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded_agents import Recorded

from collectors.snmp import credential
from collectors.snmp.polling.device_facts import DeviceFacts, poll_once
from collectors.snmp.profiles.profile_loader import ProfileError, load, load_files
from collectors.snmp.session.session import RetryPolicy

FAMILY = """
vendor: maker
root: 1.3.6.1.4.1.99999.1
match: inherited
---
tables:
  probe:
    base: 1.3.6.1.4.1.99999.1.7.1
    columns: {name: 1, heat: 2}
    sensors:
      - {class: temperature, of: heat, descr: "{name}", divisor: 10}
"""
SYSTEM = "1.3.6.1.2.1.1.1.0|4|{descr}\n1.3.6.1.2.1.1.2.0|{object_id}\n"
UPTIME = "1.3.6.1.2.1.1.3.0|67|4200\n"
HEAT = "1.3.6.1.4.1.{root}.7.1.1.1|4|Rack\n1.3.6.1.4.1.{root}.7.1.2.1|2|215\n"


async def poll(
    folder: Path, heads: dict[str, str], object_id: str, descr: str, *rest: str
) -> DeviceFacts:
    """Poll a device with only these profiles."""
    files = []
    for name, text in heads.items():
        files.append(folder / f"{name}.yaml")
        files[-1].write_text(text)
    recording = folder / "device.snmprec"
    system = SYSTEM.format(descr=descr, object_id=object_id)
    recording.write_text(system + UPTIME + "".join(rest))
    async with Recorded(recording) as device:
        return await poll_once(
            "127.0.0.1",
            device.port_number,
            credential("test", {"community": "public"}),
            retry_policy=RetryPolicy((1.0, 2.0)),
            profiles=load_files(files),
        )


def heat(facts: DeviceFacts) -> list[tuple[str, float | None]]:
    return [(sensor.descr, sensor.value) for sensor in facts.sensors]


async def test_a_profile_inherits_a_family_below_another_oid(tmp_path: Path) -> None:
    copy = """
        vendor: copier
        inherits: {family: 1.3.6.1.4.1.88888.3}
        match: [{object_id: 1.3.6.1.4.1.88888}]
    """
    facts = await poll(
        tmp_path,
        {"family": FAMILY, "copy": copy},
        "6|1.3.6.1.4.1.88888.5",
        "A copy",
        HEAT.format(root="88888.3"),
    )
    assert heat(facts) == [("Rack", 21.5)]
    assert facts.profiles == ["copy", "family"]
    assert facts.identity is not None
    assert facts.identity.vendor == "copier"


@pytest.mark.parametrize(
    ("inherits", "reason"),
    [
        ("[famly]", "did you mean 'family'"),
        ("{plain: 1.3.6.1.4.1.5}", "'plain' has no root"),
    ],
)
def test_a_profile_that_cannot_be_inherited_is_refused(
    tmp_path: Path, inherits: str, reason: str
) -> None:
    texts = {
        "family": FAMILY,
        "plain": "match: inherited\n",
        "copy": f"inherits: {inherits}\nmatch: [{{object_id: 1.3.6.1.4.1.88888}}]\n",
    }
    files = []
    for name, text in texts.items():
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(text)
    with pytest.raises(ProfileError, match=reason):
        load_files(files)


@pytest.mark.parametrize(
    "object_id",
    [
        "4|1.3.6.1.4.1.88888.5",
        '4|".1.3.6.1.4.1.88888.5"',
        "4|iso.3.6.1.4.1.88888.5",
        "6|1.3.6.1.4.1.8072.3.2.10",
        "6|0.0",
    ],
)
async def test_a_broken_or_borrowed_object_id_does_not_hide_the_maker(
    tmp_path: Path, object_id: str
) -> None:
    profile = FAMILY.replace("match: inherited", "match: [{object_id: %s}]")
    facts = await poll(
        tmp_path,
        {"maker": (profile % "1.3.6.1.4.1.88888").replace("99999", "88888")},
        object_id,
        "Linux box 5.10",
        HEAT.format(root="88888.1"),
    )
    assert heat(facts) == [("Rack", 21.5)]
    assert facts.identity is not None
    assert facts.identity.vendor == "maker"


async def test_a_device_that_holds_a_mib_is_found_by_it_only_if_it_names_no_maker(
    tmp_path: Path,
) -> None:
    profile = FAMILY.replace("inherited", "[{holds: 1.3.6.1.4.1.99999.1.7}]")
    rest = HEAT.format(root="99999.1")
    linux, other = "6|1.3.6.1.4.1.8072.3.2.10", "6|1.3.6.1.4.1.9.1.5"
    found = await poll(tmp_path, {"maker": profile}, linux, "Linux", rest)
    assert heat(found) == [("Rack", 21.5)]
    assert not heat(await poll(tmp_path, {"maker": profile}, other, "IOS", rest))
    assert not heat(await poll(tmp_path, {"maker": profile}, linux, "Linux"))


async def test_the_makers_tree_is_found_behind_those_of_the_agent(
    tmp_path: Path,
) -> None:
    profile = FAMILY.replace("inherited", "[{object_id: 1.3.6.1.4.1.99999}]")
    linux = "6|1.3.6.1.4.1.8072.3.2.10"
    agent = "1.3.6.1.4.1.2021.11.11.0|2|90\n1.3.6.1.4.1.8072.1.2.1.0|2|1\n"
    rest = agent + HEAT.format(root="99999.1")
    facts = await poll(tmp_path, {"maker": profile}, linux, "Linux", rest)
    assert heat(facts) == [("Rack", 21.5)]


async def test_quotation_marks_around_a_description_do_not_matter(
    tmp_path: Path,
) -> None:
    profile = """
        vendor: maker
        match: [{descr: '^ACME '}]
        ---
        identity: {version: {descr: '(\\d+)$'}}
    """
    text = "\n".join(line.strip() for line in profile.splitlines())
    facts = await poll(
        tmp_path, {"maker": text}, "6|1.3.6.1.4.1.99999", '"ACME switch 12"'
    )
    assert facts.identity is not None
    assert (facts.identity.vendor, facts.identity.version) == ("maker", "12")


async def test_an_unknown_device_has_the_vendor_of_its_number(tmp_path: Path) -> None:
    facts = await poll(tmp_path, {}, "6|1.3.6.1.4.1.318.1.3.99", "A new UPS")
    assert facts.identity is not None
    assert facts.identity.vendor == "apc"


def test_families_of_the_catalogue_are_inherited_by_somebody() -> None:
    profiles = list(load())
    wanted = {name for profile in profiles for name in profile.head.inherits}
    families = {p.name for p in profiles if p.head.scope == "inherited"}
    assert families <= wanted
