"""LibreNMS' devices and locations become estate entries, over real HTTP."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path
from typing import Any

import api_doubles
import pytest
from hypothesis import given, settings
from librenms_answers import ANSWERS, V3_DEVICE, nms, read_librenms
from odd_objects import objects

from collectors.estate import Estate, load
from collectors.importing import librenms
from collectors.importing.imported import as_toml, merge
from collectors.importing.rest_client import SourceError
from collectors.snmp import Credentials, credential


@pytest.fixture
async def nms_read() -> librenms.LibreNmsData:
    with api_doubles.librenms(ANSWERS) as server:
        return await read_librenms(server)


def test_librenms_becomes_an_estate_and_its_secrets_are_kept_apart(
    nms_read: librenms.LibreNmsData, tmp_path: Path
) -> None:
    imported, fresh = librenms.to_estate(nms_read, Estate(), Credentials({}))
    text = as_toml(merge(imported, Estate(), "LibreNMS").new)
    assert "council" not in text
    assert "password" not in text
    (tmp_path / "estate.toml").write_text(text, encoding="utf-8")
    estate = load(tmp_path)
    assert {s.id: s.name for s in estate.sites} == {
        "depot": "Dépôt",
        "town-hall-cellar": "Town Hall, cellar",
    }
    depot = estate.site("depot")
    assert (depot.latitude, depot.longitude) == (52.6579, -1.0981)
    assert estate.site("town-hall-cellar").latitude is None
    devices = {d.id: d for d in estate.devices}
    assert devices["sw-1"].credentials == "librenms-1"
    assert devices["sw-2"].credentials == "librenms-2"
    assert devices["sw-3"].port == 1161
    assert devices["sw-3"].parent == "sw-1"
    # Two parents mean redundancy.
    assert devices["sw-9"].parent is None
    assert devices["sw-10"].site == "depot"
    assert (devices["sw-8"].poll, devices["sw-8"].snmp) == (True, False)
    assert devices["sw-8"].role == "ups"
    assert "sw-4" not in devices
    # No location and no rule: the entry is a comment.
    assert [entry["id"] for _, entry in imported.incomplete] == ["sw-6"]
    remarks = "\n".join(imported.remarks)
    assert "sw-4.example.gov.uk is disabled in LibreNMS: left out" in remarks
    assert "sw-7.example.gov.uk has no address that can be found" in remarks
    assert imported.notes["devices", "sw-5"] == ["LibreNMS ignores its alerts"]

    file = tmp_path / "snmp.toml"
    librenms.write_credentials(file, fresh)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    saved = Credentials.read(file, {})
    assert saved.get("librenms-1") == credential("x", {"community": "council"})
    secret = saved.get("librenms-2")
    assert (secret.auth, secret.priv, secret.key_expansion) == (
        "sha256",
        "aes256",
        "cisco",
    )
    assert secret.priv_password == 'a priv "password" \u2603'
    assert saved.get("librenms-3").version == "1"
    with pytest.raises(SourceError, match="exists already"):
        librenms.write_credentials(file, fresh)


def test_a_credential_that_is_configured_here_keeps_its_name(
    nms_read: librenms.LibreNmsData,
) -> None:
    known = Credentials({"core": credential("core", {"community": "council"})})
    imported, fresh = librenms.to_estate(nms_read, Estate(), known)
    assert imported.devices[0]["credentials"] == "core"
    assert "council" not in {secret.community for secret in fresh.values()}


def test_the_estates_rules_come_before_locations(
    nms_read: librenms.LibreNmsData,
) -> None:
    here = Estate.model_validate(
        {"sites": [{"id": "hall", "name": "Hall", "subnets": ["10.1.0.0/24"]}]}
    )
    imported, _ = librenms.to_estate(nms_read, here, Credentials({}))
    assert {entry["site"] for entry in imported.devices} == {"hall"}
    assert imported.sites == []


async def test_a_librenms_without_devices_is_no_error() -> None:
    none = (404, {"status": "error", "message": "Location does not exist"})
    answers = {"/devices": {"devices": []}, "/resources/locations": none}
    with api_doubles.librenms(answers) as server:
        assert await read_librenms(server) == librenms.LibreNmsData([], [])


async def test_a_token_that_librenms_rejects_is_reported() -> None:
    denied = pytest.raises(SourceError, match="API Token is missing or invalid")
    with api_doubles.librenms(ANSWERS, token="other") as server, denied:
        await read_librenms(server)


@given(objects)
@settings(max_examples=30, deadline=None)
def test_odd_answers_of_librenms_are_read_without_harm(devices: Any) -> None:
    data = librenms.LibreNmsData(
        [{**nms(1, "10.0.0.1"), **device} for device in devices]
    )
    imported, _ = librenms.to_estate(data, Estate(), Credentials({}))
    tomllib.loads(as_toml(imported))


def test_a_secret_that_is_too_short_is_reported_without_the_secret() -> None:
    short = nms(1, "10.0.0.1", **{**V3_DEVICE, "authpass": "short"})
    data = librenms.LibreNmsData([short])
    imported, fresh = librenms.to_estate(data, Estate(), Credentials({}))
    assert any(
        "needs auth_password of at least" in remark for remark in imported.remarks
    )
    assert not any("short'" in remark for remark in imported.remarks)
    assert fresh == {}
