"""`make bench`: runs every benchmark but `lab`, `running_cost`, `fleet` and
`grafana_code` in turn and prints the figures as tables, with `--json FILE` also as
JSON. `python -m benchmarks poll journal` runs only those; further options are those of
one: `python -m benchmarks incidents --seed 7`."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

BENCHMARKS = (
    "poll",
    "traps",
    "poll_estate",
    "shared_polling",
    "running_cost",
    "journal",
    "journal_kinds",
    "ingest",
    "ingest_attacks",
    "fleet",
    "store",
    "report",
    "pages",
    "api_flood",
    "boards",
    "board_panels",
    "grafana_code",
    "reflector",
    "ndt7_peers",
    "call_path",
    "shaped",
    "agent_cost",
    "incidents",
    "lab",
    "evaluation_cost",
    "recorded_scores",
    "teams_calls",
    "parity_coverage",
    "disclosure_attack",
    "desk_verdicts",
    "scale",
    "rtp_file",
    "rtp_live",
)
# The first three take long, and the last installs 450 MB for each Grafana.
_ONLY_IF_NAMED = ("lab", "running_cost", "fleet", "grafana_code")


def machine() -> dict[str, Any]:
    """The machine that the figures were measured on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": os.cpu_count(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments, options = parser.parse_known_args()
    if options and len(arguments.only) != 1:
        parser.error(f"{' '.join(options)}: options are those of one benchmark")
    figures: dict[str, Any] = {"machine": machine()}
    failed = []
    usual = [name for name in BENCHMARKS if name not in _ONLY_IF_NAMED]
    for name in arguments.only or usual:
        print(f"\n== {name}", flush=True)
        try:
            run = importlib.import_module(f"benchmarks.{name}").run
            figures[name] = run(options) if options else run()
        except Exception as error:  # noqa: BLE001 - one benchmark must not hide the rest
            print(f"failed: {error!r}", file=sys.stderr)
            failed.append(name)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
