"""veraPDF, the validator of PDF/UA (ISO 14289-1): fetched by `make services`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import services

VERSION = "1.28.2"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
JAR = _CACHE / "towpath" / f"greenfield-apps-{VERSION}.jar"


def findings(files: Sequence[Path]) -> dict[str, list[str]]:
    """Name of each PDF -> the rules of PDF/UA-1 that it breaks, each with how often.
    Skips the test without Java or veraPDF (fails where CI=true)."""
    java = services.program("java")
    if not JAR.exists():
        services.absent(f"veraPDF is not at {JAR} (make services)")
    command = [java, "-cp", str(JAR), "org.verapdf.apps.GreenfieldCliWrapper"]
    command += ["--flavour", "ua1", "--format", "json", *map(str, files)]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    jobs = json.loads(done.stdout)["report"]["jobs"]
    found: dict[str, list[str]] = {}
    for job in jobs:
        (result,) = job["validationResult"]
        assert result["profileName"].startswith("PDF/UA-1"), result["profileName"]
        assert result["details"]["passedChecks"] > 100
        broken = [
            f"{rule['clause']}-{rule['testNumber']} ({rule['failedChecks']} times): "
            f"{rule['description']}"
            for rule in result["details"].get("ruleSummaries", ())
        ]
        assert result["compliant"] is (not broken)
        found[Path(job["itemDetails"]["name"]).name] = broken
    assert len(found) == len(files), done.stderr.decode()
    return found
