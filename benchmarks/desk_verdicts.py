"""What the one verdict on a laptop says of planted faults: whether it names the right
part first, in words that can be read to a caller, blames nothing else, and has
something to try that the person can do. Prints each fault, the verdict and what is
wrong with it, and the hits. A second.
"""

from __future__ import annotations

import re
from typing import Any

from benchmarks.planted_faults import NOW_MS, PLANTED, Planted
from probes.wire.verdict import LaptopVerdict, verdict

# Longer than this is not read aloud.
_LONGEST = 170
# What nobody away from their own router can do, and nobody without a cable.
_ROUTER, _CABLE = re.compile(r"\brouter\b"), re.compile(r"\bcable or socket\b")


def faults_of(planted: Planted, found: LaptopVerdict) -> list[str]:
    """Returns what is wrong with a verdict, in a few words each. Pure."""
    wrong = []
    first = found.problems[0].segment if found.problems else "good"
    if not found.measured:
        first = "not measured"
    if first != planted.blames:
        wrong.append(f"blames {first}, not {planted.blames}")
    if planted.says not in found.headline:
        wrong.append(f"does not say “{planted.says}”")
    wrong += [
        f"blames {segment} too"
        for segment in sorted({problem.segment for problem in found.problems})
        if segment in planted.spares and segment != planted.blames
    ]
    if len(found.headline) > _LONGEST:
        wrong.append(f"too long to read aloud ({len(found.headline)} letters)")
    for problem in found.problems:
        if not problem.do:
            wrong.append(f"nothing to try: {problem.says}")
        if "service desk" in problem.do:
            wrong.append("the desk tells the caller to tell the desk")
        if planted.where.place in {"office", "elsewhere"}:
            wrong += ["not their router"] if _ROUTER.search(problem.do) else []
        if planted.where.connection != "wired" and _CABLE.search(problem.do):
            wrong.append("they have no cable")
    return wrong


def run() -> dict[str, Any]:
    missed = 0
    for planted in PLANTED:
        found = verdict(planted.results, NOW_MS, planted.where)
        wrong = faults_of(planted, found)
        missed += bool(wrong)
        print(f"{'✘' if wrong else '✔'} {planted.fault}: {found.headline}")
        for text in wrong:
            print(f"    {text}")
    print(f"{len(PLANTED) - missed} of {len(PLANTED)} planted faults: verdict right")
    return {"planted": len(PLANTED), "right": len(PLANTED) - missed}
