"""Broken networks as people have them: each gives an outcome and a sentence."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from shaped_path import FAR, FAR6, NEAR, ShapedPath, shaped_path

from probes.wire.failure import Outcome
from probes.wire.report import Result
from probes.wire.verdict import verdict

pytestmark = pytest.mark.netns
NAME = "reflector.test"
RUN = {"packets": 60, "interval_ms": 4}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShapedPath]:
    folder = tmp_path_factory.mktemp("etc")
    (folder / "hosts").write_text(f"{FAR} {NAME}\n{FAR6} {NAME}\n::1 localhost\n")
    # No name server listens there, so a query is refused at once.
    (folder / "resolv.conf").write_text(f"nameserver {FAR}\noptions attempts:1\n")
    with shaped_path() as path:
        for name in ("hosts", "resolv.conf"):
            there = str(Path("/etc", name).resolve())
            path._do(path.near("mount", "--bind", str(folder / name), there))
        yield path


@pytest.fixture(scope="module")
def ports(path: ShapedPath) -> Iterator[dict[str, int]]:
    with path.reflector(FAR, FAR6) as ports:
        # Packets that arrive while the reflector starts wait in its socket.
        path.measure("call_path", "hall", FAR, ports["stamp"], **RUN)
        yield ports


def headline(measured: dict) -> str:
    result = Result(
        measured["probe"],
        measured["version"],
        0,
        Outcome(measured["outcome"]),
        measured["target"],
        measured.get("values", {}),
    )
    return verdict([result], 1000).headline


def test_a_laptop_with_only_ipv6_is_measured(path, ports):
    path._do(path.near("ip", "addr", "del", f"{NEAR}/24", "dev", "near0"))
    call = path.measure("call_path", "hall", NAME, ports["stamp"], **RUN)
    speed = path.measure(
        "bandwidth", f"ws://{NAME}:{ports['web']}", budget_bytes=10**7, seconds=0.5
    )
    way = path.measure(
        "path", "hall", NAME, ports["stamp"], rounds=2, every_s=0.1, gateway=""
    )
    path._do(path.near("ip", "addr", "add", f"{NEAR}/24", "dev", "near0"))
    assert call["outcome"] == speed["outcome"] == way["outcome"] == "ok"
    assert way["values"]["hops"] == 1
    assert "no packets lost" in headline(call)


def test_without_a_name_server_the_name_server_is_blamed(path):
    for probe, where in (
        ("call_path", ["hall", "elsewhere.example"]),
        ("path", ["hall", "elsewhere.example"]),
        ("bandwidth", ["wss://elsewhere.example"]),
    ):
        more = {"budget_bytes": 10**7} if probe == "bandwidth" else {}
        measured = path.measure(probe, *where, **more)
        assert measured["outcome"] == "name_server_failed", probe
    assert "name server does not answer" in headline(
        path.measure("call_path", "hall", "elsewhere.example")
    )


def test_a_stopped_reflector_refuses(path, ports):
    measured = path.measure("call_path", "hall", NAME, 9, tcp_port=ports["web"], **RUN)
    assert measured["outcome"] == "refused"
    assert "hall refused the connection" in headline(measured)


def test_a_host_that_is_down_times_out(path, ports):
    path._do(
        path.far("nft", "-f", "-"),
        "table inet faults {\nchain input {\n"
        "type filter hook input priority 0\nip daddr 10.99.0.2 drop\n}\n}\n",
    )
    measured = path.measure("call_path", "hall", FAR, 862, tcp_port=ports["web"], **RUN)
    path.lose()
    assert measured["outcome"] == "timeout"
    assert "hall did not answer in time" in headline(measured)
