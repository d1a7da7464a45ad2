"""Templates of pages and reports. Every value is escaped for HTML, and shown as
`probes.wire.display` shows names from outside."""

from __future__ import annotations

from typing import Any

import jinja2
from markupsafe import Markup

from probes.wire.counted_text import counted
from probes.wire.display import isolated, shortened


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
    return templates


def _shown(value: Any) -> Any:
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return isolated(value) if is_text else value
