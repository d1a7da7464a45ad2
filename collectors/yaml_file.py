"""YAML that a person wrote: read into a pydantic model, or into sentences.

Every finding says file, line, dotted path, what was expected and what was meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from collectors.config_errors import dotted, encoding_error, explain

Model = TypeVar("Model", bound=BaseModel)
# libyaml's loader does the same ten times as fast, where the wheel has it.
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class LineNumbers:
    """Where in the file each dotted path stands."""

    def __init__(self, node: Any, first: int = 0) -> None:
        """`first`: lines of the file before the document."""
        self._lines: dict[str, int] = {}
        self._first = first
        if node is not None:
            self._note(node, ())

    def of(self, path: str) -> int:
        """The line of `path`, or of the nearest thing that holds it."""
        while path and path not in self._lines:
            path = path.rpartition("." if path.rfind(".") > path.rfind("[") else "[")[0]
        return self._first + self._lines.get(path, 1)

    def _note(self, node: Any, path: tuple[Any, ...]) -> None:
        if path:
            self._lines[dotted(path)] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                self._note(value, (*path, key.value))
                self._lines[dotted((*path, key.value))] = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode):
            for n, value in enumerate(node.value):
                self._note(value, (*path, n))


def read_text(source: Path, findings: list[str]) -> str | None:
    """The text of `source`; None and a finding where it cannot be read."""
    try:
        return source.read_text(encoding="utf-8")
    except OSError as error:
        findings.append(f"{source}: cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        findings.append(f"{source}:{encoding_error(error)}")
    return None


def parse_yaml(
    source: Path, text: str, findings: list[str], first: int = 0
) -> tuple[Any, LineNumbers]:
    """The document in `text`, and its lines; None where it is no YAML or empty."""
    try:
        node = yaml.compose(text, Loader)
        document = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = first + (mark.line + 1 if mark else 1)
        problem = getattr(error, "problem", None) or str(error)
        findings.append(f"{source}:{line}: is not valid YAML: {problem}")
        return None, LineNumbers(None, first)
    if node is not None:
        findings += [
            f"{source}:{first + line}: {key!r} is there twice"
            for key, line in _duplicate_keys(node)
        ]
    return document, LineNumbers(node, first)


def validate(
    source: Path,
    document: Any,
    lines: LineNumbers,
    model: type[Model],
    findings: list[str],
) -> Model | None:
    """`document` as a `model`; None and findings where it is none."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        findings += [
            f"{source}:{lines.of(path)}: {path} {says}"
            for path, says in explain(error, model)
        ]
    return None


def _duplicate_keys(node: Any) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.value, key.start_mark.line + 1
            seen.add(key.value)
            yield from _duplicate_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _duplicate_keys(value)
