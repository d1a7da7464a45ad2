"""What the tests of the agent's packages share: their tools, and the files in them."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import services
from sbom_validity import check_valid

PACKAGES = Path(__file__).resolve().parents[1] / "deploy" / "packages"
sys.path.insert(0, str(PACKAGES))
# Not packages of the project: the tools of `make deb` and `make zipapp`.
agent_files = pytest.importorskip("agent_files")
bill_of_materials = pytest.importorskip("bill_of_materials")
deb_package = pytest.importorskip("deb_package")
zip_application = pytest.importorskip("zip_application")

TARGET = "linux-x86_64"


@functools.cache
def collected() -> Any:
    """The agent's files for `TARGET`, collected once for all tests of a process."""
    try:
        return agent_files.collect(TARGET)
    except subprocess.CalledProcessError as error:
        services.absent(f"the agent's libraries cannot be downloaded: {error}")


def build(module: Any, *arguments: Any) -> Path:
    """Builds a package with these files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1767225600")
        patch.setattr(module, "collect", lambda _: collected())
        # A fifth of the time.
        patch.setattr(deb_package, "COMPRESSION", "gzip")
        package: Path = module.build(*arguments)
        return package


def named_files(component: dict[str, Any]) -> dict[str, str]:
    return {
        part["name"]: part["hashes"][0]["content"]
        for part in component.get("components", [])
        if part["type"] == "file"
    }


def check_bill(package: Path, files: dict[str, bytes]) -> dict[str, Any]:
    """The SBOM beside the package is valid, and lists just these files."""
    text = package.with_name(f"{package.name}.cdx.json").read_text("utf-8")
    bill: dict[str, Any] = json.loads(text)
    check_valid(text)
    whole = bill["metadata"]["component"]
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    assert whole["hashes"] == [{"alg": "SHA-256", "content": digest}]
    listed = named_files(whole)
    for component in bill["components"]:
        assert component["purl"].startswith("pkg:pypi/"), component["name"]
        assert component["licenses"], component["name"]
        assert component["externalReferences"], component["name"]
        assert named_files(component), component["name"]
        listed |= named_files(component)
    assert listed == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items()
    }
    locked = re.findall(r"^([a-z0-9-]+)==([^ ]+)", agent_files.LOCK.read_text(), re.M)
    held = {(c["name"], c["version"]) for c in bill["components"]}
    assert held == set(locked)
    return bill
