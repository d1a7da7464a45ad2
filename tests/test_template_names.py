"""Templates use only names that modules have: Jinja looks them up when it renders."""

from __future__ import annotations

from types import ModuleType

import pytest
from jinja2 import nodes

from dashboards import figure_text
from dashboards.report import report_figures
from dashboards.templating import environment

MODULES: dict[str, ModuleType] = {
    "figure_text": figure_text,
    "figures": report_figures,
}


@pytest.mark.parametrize("package", ["dashboards.web", "dashboards.report"])
def test_all_that_templates_ask_of_a_module_exists(package: str) -> None:
    templates = environment(package)
    assert templates.loader is not None
    asked = {
        (name, node.node.name, node.attr)
        for name in templates.list_templates()
        for node in templates.parse(
            templates.loader.get_source(templates, name)[0]
        ).find_all(nodes.Getattr)
        if isinstance(node.node, nodes.Name) and node.node.name in MODULES
    }
    assert len(asked) > 10
    assert [one for one in sorted(asked) if not hasattr(MODULES[one[1]], one[2])] == []
