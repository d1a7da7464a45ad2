"""Reads YAML files that people write into pydantic models, with findings for errors.

Every finding has the file, the line, the dotted path, what was expected and perhaps
what was meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from collectors.config_errors import dotted, encoding_error, explain
from collectors.plain_yaml import NotPlain, build_plain

Model = TypeVar("Model", bound=BaseModel)
# libyaml's loader is ten times as fast, if the wheel has it.
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class LineNumbers:
    """The line of each dotted path in the file. They are counted when a finding needs
    them, as most files are in order."""

    def __init__(self, text: str = "", first: int = 0) -> None:
        """`first`: the number of lines before the document."""
        self._lines: dict[str, int] = {}
        self._first = first
        self._text = text

    def line(self, path: str) -> int:
        """The line of `path`, or of the nearest parent that has one."""
        if self._text:
            node, _, _ = _parse_nodes(self._text)
            self._note(node, ())
            self._text = ""
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
    """The text of `source`; None and a finding if it cannot be read."""
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
    """The document in `text` and its line numbers; None if it is empty or not YAML."""
    duplicates: list[tuple[str, int]] = []
    try:
        try:
            document = build_plain(text, Loader)
        except NotPlain:
            _, document, duplicates = _parse_nodes(text)
    # A ValueError is a date that does not exist.
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = first + (mark.line + 1 if mark else 1)
        problem = getattr(error, "problem", None) or str(error)
        findings.append(f"{source}:{line}: is not valid YAML: {problem}")
        return None, LineNumbers(first=first)
    findings += [
        f"{source}:{first + line}: {key!r} appears twice" for key, line in duplicates
    ]
    return document, LineNumbers(text, first)


def _parse_nodes(text: str) -> tuple[Any, Any, list[tuple[str, int]]]:
    """The nodes, the document, and the keys that appear twice with their lines."""
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        # Read first, as the loader adds the keys of merges (<<) to the nodes.
        duplicates = list(_duplicate_keys(node))
        document = None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()
    return node, document, duplicates


def validate(
    source: Path,
    document: Any,
    lines: LineNumbers,
    model: type[Model],
    findings: list[str],
) -> Model | None:
    """`document` as a `model`; None and findings if it does not fit."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        findings += [
            f"{source}:{lines.line(path)}: {path} {problem}"
            for path, problem in explain(error, model)
        ]
    return None


def _duplicate_keys(node: Any) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key.value, key.start_mark.line + 1
                seen.add(key.value)
            yield from _duplicate_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _duplicate_keys(value)
