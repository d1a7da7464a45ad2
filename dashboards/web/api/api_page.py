"""The table of operations of `docs/api.md`, made of the routes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from dashboards.web.api.api_route import ApiRoute

BEGIN = "<!-- operations: begin -->\n"
END = "<!-- operations: end -->\n"


def operations_table(routes: Iterable[ApiRoute]) -> str:
    return "".join(f"{line}\n" for line in _lines(routes))


def _lines(routes: Iterable[ApiRoute]) -> Iterator[str]:
    yield "| operation | scope | does | parameters |"
    yield "|---|---|---|---|"
    for route in routes:
        names = [field.encode_name for field in _fields(route.query)]
        if route.body is not None:
            names += [field.encode_name for field in _fields(route.body)]
        shown = ", ".join(f"`{n}`" for n in names if n not in ("limit", "cursor"))
        scope = f"`{route.right}`" if route.right else ""
        yield (
            f"| `{route.method} {route.path}` | {scope} | {route.summary}"
            f"{', in pages' if route.order else ''} | {shown} |"
        )


def _fields(struct: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(struct)
