"""The documents, and every setting that they must describe: what their tests share."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel

from collectors.estate.estate_model import Estate
from collectors.reflector import ReflectorConfig
from collectors.secret import Secret
from probes.agent.settings import Settings as AgentSettings
from towpath.config import _UNDER_STATE, TowpathConfig

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md"]
    + [p for p in DOCS.rglob("*.md") if "decisions" not in p.parts]
)
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
PAGE_NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]

Setting = tuple[str, Any]
NEEDED = object()


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of that language, without their common indentation."""
    found = []
    for fence in re.finditer(
        rf"^( *)```{language}\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL
    ):
        indent = fence[1]
        found.append(re.sub(rf"^{indent}", "", fence[2], flags=re.MULTILINE))
    return found


def _models(annotation: Any) -> list[type]:
    if isinstance(annotation, type) and issubclass(
        annotation, (BaseModel, msgspec.Struct)
    ):
        return [annotation]
    return [
        model
        for inner in typing.get_args(annotation)
        if inner is not types.NoneType
        for model in _models(inner)
    ]


def settings_of(model: type, prefix: str = "") -> Iterator[Setting]:
    """(dotted name, default) of everything that can be set, in order, each once."""
    if issubclass(model, BaseModel):
        fields = [
            (
                name,
                each.annotation,
                NEEDED
                if each.is_required()
                else each.get_default(call_default_factory=True),
            )
            for name, each in model.model_fields.items()
        ]
    else:
        fields = [
            (field.name, field.type, NEEDED if field.required else field.default)
            for field in msgspec.structs.fields(model)
        ]
    seen: set[str] = set()
    for name, annotation, default in fields:
        inner = [part for part in _models(annotation) if part is not Secret]
        if not inner:
            yield prefix + name, default
            continue
        if all(issubclass(model, each) for each in inner):
            # A table of the same settings again.
            yield f"{prefix}{name}.NAME", None
            continue
        named = "NAME." if typing.get_origin(annotation) is dict else ""
        for part in inner:
            for setting in settings_of(part, f"{prefix}{name}.{named}"):
                if setting[0] not in seen:
                    seen.add(setting[0])
                    yield setting


def council_settings() -> Iterator[Setting]:
    under = {
        ".".join(where): f"`<state>/{name}`" for where, name in _UNDER_STATE.items()
    }
    for name, default in settings_of(TowpathConfig):
        yield name, msgspec.Raw(under[name].encode()) if name in under else default


def estate_settings() -> Iterator[Setting]:
    return settings_of(Estate)


def reflector_settings() -> Iterator[Setting]:
    return settings_of(ReflectorConfig)


def agent_settings() -> Iterator[Setting]:
    return settings_of(AgentSettings)
