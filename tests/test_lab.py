"""The real lab (`python -m benchmarks lab`): its network, and one round of faults."""

from __future__ import annotations

import pytest
from services import absent

from benchmarks import lab
from benchmarks.lab_council import CABLES, LINES, NODES, ports_of
from benchmarks.lab_faults import FAULTS


def test_every_fault_is_about_something_that_the_lab_has() -> None:
    known = {"monitor:"} | {f"device:{node}" for node in NODES}
    known |= {f"site:{node.site}" for node in NODES.values()}
    known |= {f"line:{line.id}" for line in LINES}
    known |= {f"supplier:{line.supplier}" for line in LINES}
    known |= {f"port:{node}/{port}" for node in NODES for port in ports_of(node)}
    for fault in FAULTS:
        assert fault.causes | fault.footprint <= known, fault.kind


def test_every_port_of_the_lab_has_one_cable_or_line() -> None:
    ends = [(c.a, c.a_port) for c in CABLES] + [(c.b, c.b_port) for c in CABLES]
    ends += [(line.near, line.near_port) for line in LINES]
    ends += [("hall-rtr", line.far_port) for line in LINES]
    assert len(ends) == len(set(ends))


@pytest.mark.soak
@pytest.mark.netns
def test_real_faults_are_paged_once_each_with_their_cause() -> None:
    figures = lab.run(["--rounds", "1,2"])
    if "skipped" in figures:
        absent(figures["skipped"])
    assert figures["at_first_start"] == 0
    assert figures["false_pages"] == figures["without_page"] == 0
    assert figures["without_end"] == 0
    assert figures["precision"] == figures["recall"] == 1.0
