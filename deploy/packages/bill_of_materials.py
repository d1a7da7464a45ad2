"""Lists what is in a package as CycloneDX 1.6 (JSON), from the files in it: each
library with its version, licence and purl, and each file with its hash."""

from __future__ import annotations

import datetime
import hashlib
import json
import uuid
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from agent_files import (
    PROJECT,
    AgentFiles,
    Files,
    Library,
    commit_time,
    libraries,
    project_version,
)

AGENT = "towpath-agent"


class Bundled(NamedTuple):
    """Something else that is in a package, in folders or files of its own. Without
    places it is inside a file of another one."""

    name: str
    version: str
    licence: str
    places: tuple[PurePosixPath, ...]


def write_bill(
    package: Path,
    agent: AgentFiles,
    files: Files,
    inside: PurePosixPath,
    target: str,
    bundled: Sequence[Bundled] = (),
) -> Path:
    """Writes `PACKAGE.cdx.json`. `inside` is where the libraries are in `files`."""
    content = package.read_bytes()
    document = bill(package.name, content, agent, files, inside, target, bundled)
    path = package.with_name(f"{package.name}.cdx.json")
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    return path


def bill(
    name: str,
    content: bytes,
    agent: AgentFiles,
    files: Files,
    inside: PurePosixPath,
    target: str,
    bundled: Sequence[Bundled] = (),
) -> dict[str, Any]:
    """The document for the package `name`. The same package gives the same document."""
    digest = hashlib.sha256(content).hexdigest()
    listed = libraries(agent.files)
    names = {library.name for library in listed} - {PROJECT}
    of_library: dict[str, list[dict[str, Any]]] = {}
    for path, file_content in files.items():
        owner = PROJECT
        if path.is_relative_to(inside):
            owner = _owner(path.relative_to(inside), agent.owners)
        for other in bundled:
            is_of = any(path.is_relative_to(place) for place in other.places)
            owner = other.name if is_of else owner
        of_library.setdefault(owner, []).append(_file(path, file_content))
    made = datetime.datetime.fromtimestamp(commit_time(), datetime.UTC)
    own = next(library for library in listed if library.name == PROJECT)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": {
            "timestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": AGENT,
                "name": AGENT,
                "version": project_version(),
                "purl": f"pkg:generic/{AGENT}@{project_version()}",
                "hashes": [{"alg": "SHA-256", "content": digest}],
                "licenses": _licences(own),
                "properties": [
                    {"name": "towpath:package", "value": name},
                    {"name": "towpath:target", "value": target},
                ],
                "components": of_library.get(PROJECT, []),
            },
        },
        "components": [
            _library(library, agent, of_library.get(library.name, []))
            for library in listed
            if library.name in names
        ]
        + [_other(other, of_library.get(other.name, [])) for other in bundled],
        "dependencies": [
            {
                "ref": AGENT if library.name == PROJECT else _purl(library),
                "dependsOn": [
                    _purl(other) for other in listed
                    if other.name in library.requires and other.name in names
                ] + [_purl(other) for other in bundled if library.name == PROJECT],
            }
            for library in listed
        ]
        + [{"ref": _purl(other), "dependsOn": []} for other in bundled],
    }  # fmt: skip


def _library(
    library: Library, agent: AgentFiles, files: list[dict[str, Any]]
) -> dict[str, Any]:
    wheels = [
        wheel for wheel in agent.wheels
        if wheel.name == library.name
    ]  # fmt: skip
    return {
        "type": "library",
        "bom-ref": _purl(library),
        "name": library.name,
        "version": library.version,
        "description": library.summary,
        "purl": _purl(library),
        "licenses": _licences(library),
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{library.name}/{library.version}/",
                "comment": wheel.file_name,
                "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
            }
            for wheel in wheels
        ],
        "components": files,
    }


def _owner(path: PurePosixPath, owners: dict[PurePosixPath, str]) -> str:
    """The library of a file; a compiled module belongs to its source's."""
    if path.parent.name == "__pycache__":
        path = path.parent.parent / f"{path.name.partition('.')[0]}.py"
    if path in owners or not path.parts:
        return owners.get(path, PROJECT)
    # What one package leaves out and another has, such as hints of types.
    top = path.parts[0]
    return next((o for p, o in owners.items() if p.parts[0] == top), PROJECT)


def _other(other: Bundled, files: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": _purl(other),
        "name": other.name,
        "version": other.version,
        "purl": _purl(other),
        "licenses": [{"license": {"id": other.licence}}],
        "components": files,
    }


def _file(path: PurePosixPath, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {
        "type": "file",
        "name": str(path),
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }


def _licences(library: Library) -> list[dict[str, Any]]:
    if not library.licence:
        return []
    if " " in library.licence:
        return [{"expression": library.licence}]
    return [{"license": {"id": library.licence}}]


def _purl(library: Library | Bundled) -> str:
    kind = "generic" if isinstance(library, Bundled) else "pypi"
    return f"pkg:{kind}/{library.name}@{library.version}"
