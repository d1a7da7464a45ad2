"""Reads what `deploy/` has for containers, as an operator's tools do."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from nats_servers import is_version_2_9

from collectors.ingest.certificate import make_certificates

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
CHECKER = Path(__file__).parent / "deployed_files"
TRAPS_PORT = 1162


def missing(what: str) -> Any:
    """Skips the test; fails it where everything should be installed."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is not here")


def checker() -> Path:
    """The program of `deployed_files`, built by deploy/install-services."""
    sources = b"".join(
        (CHECKER / n).read_bytes() for n in ("main.go", "go.mod", "go.sum")
    )
    name = f"deployed-files-{hashlib.sha256(sources).hexdigest()[:12]}"
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    path = cache / "towpath" / name
    return path if path.exists() else missing(f"{path} (deploy/install-services)")


def check_files(
    *arguments: str | Path, text: str = "", variables: Sequence[str] = ()
) -> str:
    """What the program writes; fails with its error. `variables`: as in .env."""
    done = subprocess.run(
        [checker(), *arguments],
        input=text,
        env={**os.environ, **dict(one.split("=", 1) for one in variables)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def kustomize(folder: Path) -> str:
    """The objects of a folder with a kustomization, as YAML."""
    kubectl = shutil.which("kubectl") or missing("kubectl")
    done = subprocess.run(
        [str(kubectl), "kustomize", folder],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.cache
def kustomized(overlay: str) -> str:
    """The objects of an overlay of deploy/kubernetes."""
    return kustomize(DEPLOY / "kubernetes" / "overlays" / overlay)


@functools.cache
def objects(overlay: str) -> list[dict[str, Any]]:
    """Not to be changed."""
    return list(yaml.load_all(kustomized(overlay), Loader=yaml.CSafeLoader))


def metric_ports(settings: str) -> dict[str, int]:
    """Role → the port of its metrics and health."""
    first = tomllib.loads(settings).get("metrics", {}).get("port", 9468)
    roles = ("poll", "ingest", "store", "alert", "web", "calls")
    return {role: first + 1 + at for at, role in enumerate(roles)}


def role_of(arguments: list[str]) -> str:
    """The role that the arguments of a container run; empty for another program."""
    return arguments[arguments.index("--role") + 1] if "--role" in arguments else ""


def check_nats(settings: str, secrets: str, folder: Path) -> str:
    """What nats-server finds wrong in its settings, with real certificates for those
    in `secrets`."""
    nats = shutil.which("nats-server", path=f"{os.environ['PATH']}:/usr/sbin")
    keys = make_certificates(folder / "tls", ("localhost",))
    for names, path in (
        ("tls.crt|nats.crt", keys.certificate),
        ("tls.key|nats.key", keys.private_key),
        ("ca.crt|nats-ca.crt", folder / "tls" / "ca.pem"),
    ):
        settings = re.sub(rf"{secrets}/({names})\b", f"{path}", settings)
    server = nats or missing("nats-server")
    if is_version_2_9(server):
        settings = settings.replace("sync_interval: always", "")
    (folder / "nats.conf").write_text(settings)
    done = subprocess.run(
        [server, "-t", "-c", folder / "nats.conf"],
        env={
            **os.environ,
            "POD_NAME": "nats-0",
            "NATS_NAME": "nats-1",
            **{f"NATS_ROUTE_{n}": f"nats://n{n}:6222" for n in (1, 2, 3)},
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stderr if done.returncode else ""
