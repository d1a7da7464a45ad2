"""Writes everything Grafana needs into one folder, ready to be mounted."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from alerts.rule import Rule
from alerts.rule_export import UnsupportedRule
from collectors.server_measurements import CATALOGUE
from dashboards.grafana.board import Board
from dashboards.grafana.boards import BOARDS
from dashboards.grafana.checks import check_boards
from dashboards.grafana.classic import dashboard_json
from dashboards.grafana.grafana_rules import DIFFERENCES, rules_document
from dashboards.grafana.provisioning import contact_points, datasources, providers
from dashboards.grafana_config import GrafanaConfig
from probes.wire.atomic_file import replace_file
from probes.wire.catalogue import Catalogue

_HEADER = "# Made by `towpath dashboards build`; changes here are lost.\n"
_PERSONAL_HEADER = """\
# Laptops' own results. In Grafana OSS every Viewer of an organisation may query all its
# data sources, and provisioning cannot restrict a folder: keep them in an organisation
# (orgId) or a Grafana of their own, whose members are those who may see them.
"""


class BoardError(ValueError):
    """The boards cannot be used; `findings` lists every reason, a sentence each."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings


@dataclass(frozen=True)
class BuiltFiles:
    """The files written, and the rules that Grafana cannot express."""

    files: tuple[Path, ...]
    unsupported: tuple[UnsupportedRule, ...]


def build_folder(
    out: Path,
    config: GrafanaConfig,
    rules: Sequence[Rule] = (),
    boards: tuple[Board, ...] = BOARDS,
    catalogue: Catalogue = CATALOGUE,
) -> BuiltFiles:
    """Writes `provisioning/` and `dashboards/` below `out`. Raises `BoardError` if a
    board uses an unknown name; then nothing is written."""
    texts, unsupported = render_files(config, rules, boards, catalogue)
    written = []
    for name, text in texts.items():
        path = out / name
        # Grafana may read the folder at any moment: a file must be whole or absent.
        replace_file(path, text.encode(), durable=False, mode=None)
        written.append(path)
    for name in ("plugins", "notifiers"):
        # Grafana 9 logs an error for each of these that is missing.
        (out / "provisioning" / name).mkdir(exist_ok=True)
    return BuiltFiles(tuple(written), tuple(unsupported))


def render_files(
    config: GrafanaConfig,
    rules: Sequence[Rule] = (),
    boards: tuple[Board, ...] = BOARDS,
    catalogue: Catalogue = CATALOGUE,
) -> tuple[dict[str, str], list[UnsupportedRule]]:
    """Path below the folder → text, and the rules left out. Pure."""
    findings = check_boards(boards, catalogue)
    if findings:
        raise BoardError([str(finding) for finding in findings])
    alerting, unsupported = rules_document(rules, boards, config)
    personal = _PERSONAL_HEADER if config.personal else ""
    texts = {
        "provisioning/datasources/towpath.yaml": personal + _yaml(datasources(config)),
        "provisioning/dashboards/towpath.yaml": personal + _yaml(providers(config)),
        "provisioning/alerting/towpath-rules.yaml": _yaml(alerting, _differences())
        + "".join(
            f"# Not here: {left_out.rule}: {left_out.why}.\n"
            for left_out in unsupported
        ),
    }
    contact = contact_points(config)
    if contact is not None:
        texts["provisioning/alerting/towpath-contact.yaml"] = _yaml(contact)
    for board in boards:
        if board.personal and not config.personal:
            continue
        folder = "personal" if board.personal else "shared"
        text = json.dumps(dashboard_json(board, boards), indent=1, ensure_ascii=False)
        texts[f"dashboards/{folder}/{board.uid}.json"] = text + "\n"
    return texts, unsupported


def _differences() -> str:
    """Returns a comment on how Grafana evaluates the exported rules differently."""
    lines = ["The rules fire when Towpath's do, but:"]
    for difference in DIFFERENCES:
        lines += textwrap.wrap(
            difference, 86, initial_indent="- ", subsequent_indent="  "
        )
    return "".join(f"# {line}\n" for line in lines)


class _DumperWithoutAliases(yaml.SafeDumper):
    """Writes no anchors and aliases: they would be correct, but are hard to read."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(content: dict[str, Any], comment: str = "") -> str:
    text: str = yaml.dump(
        content,
        Dumper=_DumperWithoutAliases,
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )
    return _HEADER + comment + text
