"""Templates of pages and reports. Every value is escaped for HTML, and shown as
`probes.wire.display` shows names from outside."""

from __future__ import annotations

from typing import Any

import jinja2
from markupsafe import Markup, escape

from probes.wire.counted_text import counted
from probes.wire.display import isolated, shortened

_LONGEST_WORD = 18


def environment(package: str) -> jinja2.Environment:
    """Returns the templates of `package`. An undefined name is an error."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
    )
    templates.globals.update(counted=counted, shortened=shortened)
    templates.filters["breakable"] = breakable
    return templates


def breakable(name: str) -> Markup:
    """Returns a name for HTML. A long one, such as `TwentyFiveGigE1/0/48`, may be
    broken after a slash, and so is not broken within a number."""
    escaped = escape(isolated(name))
    if len(name) <= _LONGEST_WORD:
        return escaped
    return Markup("/<wbr>").join(escaped.split("/"))


def _shown(value: Any) -> Any:
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return isolated(value) if is_text else value
