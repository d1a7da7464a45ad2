"""The documents describe every setting, and the code reads their examples."""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from documents import (
    NEEDED,
    PAGE_NAMES,
    Setting,
    agent_settings,
    blocks,
    council_settings,
    estate_settings,
    reflector_settings,
    text_of,
)

from alerts.rule_files import load_rules
from collectors.estate import load as load_estate
from collectors.reflector import ReflectorConfig
from collectors.secret import Secret
from collectors.server_measurements import CATALOGUE
from collectors.snmp import Credentials
from collectors.snmp.profiles.profile_loader import load_files as load_profiles
from collectors.snmp.traps.trap_catalog import load as load_traps
from probes.agent.settings_layers import merge_settings
from towpath.config import read, read_part


def shown(default: Any) -> str:
    """Returns a default as the table of settings shows it."""
    if default is NEEDED:
        return "needed"
    if isinstance(default, msgspec.Raw):
        return bytes(default).decode()
    if default is None or default == Secret():
        return "not set"
    if isinstance(default, Path):
        return f'`"{default.as_posix()}"`'
    if isinstance(default, tuple):
        return f"`{json.dumps(list(default))}`"
    if isinstance(default, float) and default.is_integer():
        return f"`{int(default)}`"
    return f"`{json.dumps(default)}`"


def rows_of(text: str) -> dict[str, str]:
    """Returns the second cell by the first, for table rows that start with a `name`."""
    return {
        row[1]: row[2].strip()
        for row in re.finditer(r"^\| `([\w.]+)` \| ([^|]*) \|", text, re.MULTILINE)
    }


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ("towpath.toml", council_settings),
        ("estate.toml", estate_settings),
        ("reflector.toml", reflector_settings),
        ("agent.toml", agent_settings),
    ],
)
def test_every_setting_is_described_with_its_default(
    section: str, settings: typing.Callable[[], Iterator[Setting]]
) -> None:
    page = text_of("docs/settings.md")
    part = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    assert part, f"docs/settings.md has no section {section}"
    described = rows_of(part[1])
    settings_in_code = {name: shown(default) for name, default in settings()}
    assert described == settings_in_code, (
        f"not described: {sorted(settings_in_code.keys() - described.keys())}; "
        f"described but gone: {sorted(described.keys() - settings_in_code.keys())}"
    )


def _load_towpath(path: Path) -> None:
    read(path)


def _load_estate(path: Path) -> None:
    load_estate(path)


def _load_snmp(path: Path) -> None:
    path.chmod(0o600)
    assert list(Credentials.read(path, env={}))


def _load_profile(path: Path) -> None:
    load_profiles([path]).check()


def _load_traps(path: Path) -> None:
    load_traps(path.parent)


def _load_reflector(path: Path) -> None:
    read_part(ReflectorConfig, path, {})


def _load_agent(path: Path) -> None:
    merge_settings(path.read_text(), path.name, {}, ())


def _load_rules(path: Path) -> None:
    load_rules(CATALOGUE, path)


def _load_kustomization(path: Path) -> None:
    # tests/test_kubernetes.py builds with it.
    assert yaml.safe_load(path.read_text())["kind"] == "Kustomization"


LOADERS = {
    "towpath.toml": _load_towpath,
    "estate.toml": _load_estate,
    "snmp.toml": _load_snmp,
    "reflector.toml": _load_reflector,
    "agent.toml": _load_agent,
    "rules.yaml": _load_rules,
    "profile.yaml": _load_profile,
    "traps.yaml": _load_traps,
    "kustomization.yaml": _load_kustomization,
}

EXAMPLES = [
    (name, language, block)
    for name in PAGE_NAMES
    for language in ("toml", "yaml")
    for block in blocks(text_of(name), language)
]


@pytest.mark.parametrize(
    ("name", "language", "block"),
    EXAMPLES,
    ids=[f"{name}-{n}" for n, (name, _, _) in enumerate(EXAMPLES)],
)
def test_every_example_of_settings_can_be_read(
    name: str, language: str, block: str, tmp_path: Path
) -> None:
    file_name = re.match(r"# (\S+)", block)
    assert (file_name[1] if file_name else None) in LOADERS, (
        f"{name}: a {language} example begins with a comment that names its file, "
        f"one of {', '.join(LOADERS)}; it begins {block.splitlines()[0]!r}"
    )
    path = tmp_path / file_name[1]
    path.write_text(block)
    LOADERS[file_name[1]](path)
