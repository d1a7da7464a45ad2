"""What Grafana's published types say about a dashboard, and what does not fit them.

`data/grafana_schema/` has one description per major version of Grafana: names of
fields, what they hold, whether they are required. `describe.mjs` there makes them from
the npm package `@grafana/schema`, and `python tests/grafana_schema.py` renews them
(needs node and npm).
"""

from __future__ import annotations

import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(__file__).parent / "data" / "grafana_schema"
# A row is described within panels, and these are checked by themselves.
_ELSEWHERE = frozenset({"panels", "templating", "annotations", "links", "snapshot"})


class GrafanaSchema(msgspec.Struct, frozen=True):
    """The types of one version of Grafana."""

    version: str
    dashboard: Any
    panel: Any
    field_config: Any = msgspec.field(name="fieldConfig")
    variable: Any
    annotation: Any
    link: Any
    panels: dict[str, dict[str, Any]]
    types: dict[str, Any]

    def misfits(self, value: Any, kind: Any, at: str) -> Iterator[str]:
        """Yields what of `value` is not as `kind` has it, each with its place."""
        if isinstance(kind, str) and kind.startswith("#"):
            kind = self.types[kind[1:]]
        if kind == "any":
            return
        if isinstance(kind, str):
            if _kind_of(value) != kind:
                yield f"{at} is {value!r}, expected {kind}"
        elif "values" in kind:
            if not any(value is one or value == one for one in kind["values"]):
                yield f"{at} is {value!r}, expected one of {kind['values']}"
        elif "either" in kind:
            answers = [list(self.misfits(value, one, at)) for one in kind["either"]]
            yield from min(answers, key=len)
        elif "list" in kind:
            if not isinstance(value, list):
                yield f"{at} is {value!r}, expected a list"
                return
            for n, item in enumerate(value):
                yield from self.misfits(item, kind["list"], f"{at}[{n}]")
        elif not isinstance(value, dict):
            yield f"{at} is {value!r}, expected an object"
        elif "map" in kind:
            for name, item in value.items():
                yield from self.misfits(item, kind["map"], f"{at}.{name}")
        else:
            yield from self._fields(value, kind["fields"], at)

    def _fields(
        self, value: dict[str, Any], fields: dict[str, Any], at: str
    ) -> Iterator[str]:
        for name, item in value.items():
            kind = fields.get(name, fields.get(f"{name}?", fields.get("*")))
            if kind is None:
                yield f"{at}.{name} is unknown"
            else:
                yield from self.misfits(item, kind, f"{at}.{name}")
        for name in fields:
            if name != "*" and not name.endswith("?") and name not in value:
                yield f"{at}.{name} is missing"

    def dashboard_misfits(self, document: dict[str, Any]) -> Iterator[str]:
        """Yields what of a dashboard does not fit; panels by their kind."""
        rest = {k: v for k, v in document.items() if k not in _ELSEWHERE}
        yield from self.misfits(rest, self.dashboard, "dashboard")
        for name, holder, kind in (
            ("variable", document["templating"]["list"], self.variable),
            ("annotation", document["annotations"]["list"], self.annotation),
            ("link", document["links"], self.link),
        ):
            for item in holder:
                yield from self.misfits(item, kind, name)
        for row in document["panels"]:
            if row["type"] == "row":
                row = {**row, "panels": []}
                yield from self.misfits(row, self.types["RowPanel"], "row")
            for panel in (row, *row.get("panels", ())):
                if panel["type"] != "row":
                    yield from self.panel_misfits(panel)

    def panel_misfits(self, panel: dict[str, Any]) -> Iterator[str]:
        kind = panel["type"]
        parts = self.panels.get(kind, {})
        options, config = panel.get("options", {}), panel.get("fieldConfig")
        rest = {k: v for k, v in panel.items() if k not in ("options", "fieldConfig")}
        # Grafana adds them when it reads a panel.
        rest = {"fieldConfig": {"defaults": {}, "overrides": []}, "options": {}} | rest
        yield from self.misfits(rest, self.panel, "panel")
        if "options" in parts:
            yield from self.misfits(options, parts["options"], f"{kind} options")
        if config is None:
            return
        custom = parts.get("custom", "any")
        defaults = dict(config["defaults"])
        own = defaults.pop("custom", {})
        yield from self.misfits(defaults, self.field_config, f"{kind} defaults")
        yield from self.misfits(own, custom, f"{kind} custom")
        for override in config["overrides"]:
            for item in override["properties"]:
                yield from self._override(item["id"], item["value"], custom, kind)

    def _override(self, name: str, value: Any, custom: Any, kind: str) -> Iterator[str]:
        where = self.field_config
        if name.startswith("custom."):
            where, name = custom, name.removeprefix("custom.")
        if isinstance(where, str) and where.startswith("#"):
            where = self.types[where[1:]]
        if where != "any":
            optional = {
                field.removesuffix("?") + "?": type_
                for field, type_ in where["fields"].items()
            }
            at = f"{kind} override"
            yield from self.misfits({name: value}, {"fields": optional}, at)


def grafana_schemas() -> list[GrafanaSchema]:
    """Returns the types of each version, the oldest first."""
    schemas = [
        msgspec.convert(json.loads(path.read_text()), GrafanaSchema)
        for path in FOLDER.glob("*.json")
    ]
    return sorted(schemas, key=lambda schema: int(schema.version.split(".")[0]))


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "boolean", int: "number", float: "number", str: "string"}
    return names.get(type(value), type(value).__name__)


# The newest of each major version that councils run.
MAJORS = (9, 10, 11, 12, 13)


def publish(major: str, folder: Path) -> str:
    """Returns the description of the newest release of a major version ("13"), or of
    "latest", from npm. Raises `OSError` or `subprocess.SubprocessError`."""
    if not (folder / "node_modules").exists():
        _npm("install", "--no-save", "typescript@5", cwd=folder)
    place = folder / f"schema-{major}"
    place.mkdir()
    archive = _npm("pack", "--silent", f"@grafana/schema@{major}", cwd=place).split()
    with tarfile.open(place / archive[-1]) as packed:
        packed.extractall(place, filter="data")
    typescript = folder / "node_modules" / "typescript"
    script = FOLDER / "describe.mjs"
    command = ["node", str(script), str(place / "package"), str(typescript)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=300
    )
    return _one_type_per_line(json.loads(done.stdout))


def _npm(*arguments: str, cwd: Path) -> str:
    command = ["npm", "--no-audit", "--no-fund", "--no-update-notifier", *arguments]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=300, cwd=cwd
    ).stdout


def _one_type_per_line(description: dict[str, Any]) -> str:
    rows = []
    for name, content in description.items():
        text = json.dumps(content)
        if name in ("panels", "types"):
            inner = (f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in content.items())
            text = "{\n" + ",\n".join(inner) + "\n }"
        rows.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(rows) + "\n}\n"


def main() -> None:
    """Describe the newest releases again."""
    with tempfile.TemporaryDirectory() as scratch:
        for major in MAJORS:
            text = publish(str(major), Path(scratch))
            (FOLDER / f"{major}.json").write_text(text)


if __name__ == "__main__":
    main()
