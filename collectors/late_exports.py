"""What a package exports is imported when it is first used.

A command that only reads the settings would otherwise import the whole server: servers,
both stores and all devices' profiles, for half a second of processor time.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module, util


def export_late(package: str) -> Callable[[str], object]:
    """Returns the `__getattr__` of a package (PEP 562) whose `__init__.py` imports what
    it exports under `if TYPE_CHECKING`, for the type checker and for readers."""

    def import_name(name: str) -> object:
        export = _exports(package).get(name)
        if export is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, own_name = export
        value: object = getattr(import_module(module), own_name)
        setattr(sys.modules[package], name, value)
        return value

    return import_name


@cache
def _exports(package: str) -> dict[str, tuple[str, str]]:
    """The names that the package imports: their module, and their name there."""
    spec = util.find_spec(package)
    loader = None if spec is None else spec.loader
    source = loader.get_source(package)  # type: ignore[union-attr]
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(ast.parse(source or ""))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
