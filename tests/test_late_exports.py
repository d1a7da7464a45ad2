"""What a package exports is imported when it is used: reading the settings, as every
command does, imports neither servers nor stores."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

import pytest

from collectors import late_exports

PACKAGES = (
    "alerts.notify",
    "collectors.estate",
    "collectors.http",
    "collectors.ingest",
    "collectors.journal",
    "collectors.snmp",
    "collectors.snmp.traps",
    "collectors.store",
    "collectors.topology",
    "dashboards.web",
)
NOT_FOR_SETTINGS = (
    "cryptography",
    "duckdb",
    "gufo",
    "icalendar",
    "nats",
    "pyarrow",
    "starlette",
    "collectors.snmp.polling.poller",
)


@pytest.mark.parametrize("package", PACKAGES)
def test_everything_that_a_package_exports_is_there(package: str) -> None:
    exporting = import_module(package)
    for name in exporting.__all__:
        getattr(exporting, name)
    assert set(exporting.__all__) <= set(late_exports._exports(package))


def test_a_name_that_a_package_does_not_export_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"collectors\.store.*Nothing"):
        import_module("collectors.store").Nothing  # noqa: B018


def test_reading_the_settings_imports_no_server_and_no_store() -> None:
    code = "import sys, towpath.config; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) & set(NOT_FOR_SETTINGS) == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_that_is_exported_has_the_name_of_a_module(package: str) -> None:
    """The first import of that module would put it in the place of what is exported."""
    modules = {name for _, name, _ in iter_modules(import_module(package).__path__)}
    assert modules.isdisjoint(late_exports._exports(package))
