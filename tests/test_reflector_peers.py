"""ndt7 with M-Lab's own client and server, where Go can build them: 20 s a pair."""

from __future__ import annotations

import pytest

from benchmarks import ndt7_peers
from benchmarks.reflector import run_reflector
from probes.measure import bandwidth
from probes.wire import ndt7
from probes.wire.failure import Outcome

pytestmark = pytest.mark.soak


def built(module: str) -> str:
    program = ndt7_peers.build_program(module)
    if program is None:
        pytest.skip(f"{module} cannot be built here")
    return program


def test_m_labs_client_measures_both_ways_against_our_reflector():
    client = built(ndt7_peers.CLIENT)
    with run_reflector(None, ndt7.SECONDS) as (_pid, _stamp_port, port):
        result = ndt7_peers.measure_mlab_client(client, port, None)
    assert result["down"] > 0
    assert result["up"] > 0


async def test_our_client_measures_both_ways_against_m_labs_server(tmp_path):
    with ndt7_peers.mlab_server(built(ndt7_peers.SERVER), tmp_path, None) as port:
        result = await bandwidth.measure(
            f"ws://127.0.0.1:{port}", now_ms=lambda: 0, budget_bytes=10**13
        )
    assert result.outcome == Outcome.OK
    assert result.values["down_bps"]
    assert result.values["up_bps"]
