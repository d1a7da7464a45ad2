"""What a setting may be, in words, for those who got it wrong. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from probes.wire.catalogue import did_you_mean
from probes.wire.counted_text import counted
from probes.wire.display import shortened

_LONGEST = 60


def expected(kind: Any) -> str:
    """What a setting of the type `kind` may be."""
    return _words(inspect.type_info(kind))


def wrong_value(kind: Any, value: object, *, secret: bool = False) -> str:
    """What was expected of a setting, and what is there instead; not that of a
    `secret`."""
    if secret:
        return f"expected {expected(kind)}; what is there is not shown"
    hint = ""
    info = inspect.type_info(kind)
    if isinstance(info, inspect.LiteralType) and isinstance(value, str):
        hint = did_you_mean(value.lower(), [str(word) for word in info.values])
    return f"expected {expected(kind)}, got {_shown(value)}{hint}"


def _words(info: inspect.Type) -> str:
    match info:
        case inspect.BoolType():
            return "true or false (in the registry 1 or 0)"
        case inspect.IntType(ge=least, le=most):
            if least is None:
                return "a whole number"
            return f"a whole number from {least}" + (
                " up" if most is None else f" to {most}"
            )
        case inspect.LiteralType(values=words):
            return " or ".join(str(word) for word in words)
        case inspect.StrType(pattern=pattern, max_length=most):
            if pattern is not None:
                return "a time such as 08:30"
            return "a text" if most is None else f"a text of {most} letters at most"
        case inspect.VarTupleType(item_type=item):
            return f"a list, each {_words(item)}"
    return str(info)


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return counted(len(value), "byte")
    try:
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        text = str(value)
    text = shortened(text, _LONGEST + 1)
    return repr(text) if isinstance(value, str) else text
