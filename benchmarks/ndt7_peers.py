"""Compares our ndt7 client and server with M-Lab's own (Go): every pair, both
directions, with and without TLS, in one run.

    python -m benchmarks.ndt7_peers

M-Lab's programs are built once into `var/peers`, if Go is installed and the modules can
be downloaded. Otherwise the benchmark prints this and measures nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from services import Server, answers_tcp, free_port, running

from benchmarks.reflector import certificate, measure_ndt7, run_reflector
from probes.wire import ndt7

CLIENT = "github.com/m-lab/ndt7-client-go/cmd/ndt7-client@v0.7.0"
SERVER = "github.com/m-lab/ndt-server@v0.22.0"
PEERS = Path(__file__).resolve().parents[1] / "var" / "peers"
_BUILD_S = 900.0


def run() -> dict[str, float]:
    """`CLIENT_to_SERVER_WAY_bps` by name, then each as a ratio to M-Lab's own pair."""
    client, server = build_program(CLIENT), build_program(SERVER)
    if client is None or server is None:
        print("skipped: M-Lab's programs cannot be built here (needs Go, its modules)")
        return {}
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for tls in (None, certificate(folder)):
            end = "" if tls is None else "_tls"
            with run_reflector(tls, ndt7.SECONDS) as (_pid, _stamp_port, port):
                figures |= _named(
                    f"mlab_to_ours{end}", measure_mlab_client(client, port, tls)
                )
                figures |= _named(f"ours_to_ours{end}", measure_ndt7(port, tls))
            with mlab_server(server, folder, tls) as port:
                figures |= _named(
                    f"mlab_to_mlab{end}", measure_mlab_client(client, port, tls)
                )
                figures |= _named(f"ours_to_mlab{end}", measure_ndt7(port, tls))
            for pair in ("mlab_to_ours", "ours_to_ours", "ours_to_mlab"):
                for way in ("down", "up"):
                    own = figures[f"mlab_to_mlab{end}_{way}_bps"]
                    ratio = figures[f"{pair}{end}_{way}_bps"] / own
                    figures[f"{pair}{end}_{way}_to_mlab_ratio"] = ratio
    for figure, value in figures.items():
        print(f"{figure:36} {value:>18,.3f}")
    return figures


def build_program(module: str) -> str | None:
    """The path of one of M-Lab's programs, built if necessary; None if that fails."""
    path = PEERS / module.partition("@")[0].rpartition("/")[2]
    go = shutil.which("go")
    if path.exists() or go is None:
        return str(path) if path.exists() else None
    PEERS.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            [go, "install", module],
            env={**os.environ, "GOBIN": str(PEERS)},
            capture_output=True,
            check=True,
            timeout=_BUILD_S,
            cwd=PEERS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        stderr = getattr(error, "stderr", None) or b""
        print(f"{module}: {stderr.decode(errors='replace').strip()[-300:] or error}")
        return None
    return str(path)


def measure_mlab_client(client: str, port: int, tls: Path | None) -> dict[str, float]:
    """Results of M-Lab's client: bit/s `down` and `up`."""
    command = [client, "-format", "json", "-no-verify", "-server", f"127.0.0.1:{port}"]
    if tls is None:
        command += ["-scheme", "ws"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=90)
    answer = json.loads(done.stdout.splitlines()[-1])
    return {
        way: float(answer[name]["Value"]) * 1e6
        for way, name in (("down", "Download"), ("up", "Upload"))
    }


@contextlib.contextmanager
def mlab_server(server: str, folder: Path, tls: Path | None) -> Iterator[int]:
    """Starts M-Lab's server on loopback; yields its port, for wss if `tls` is given."""
    names = "ndt7_addr_cleartext ndt7_addr ndt5_addr ndt5_ws_addr ndt5_wss_addr"
    names += " prometheusx.listen-address health_addr"
    ports = {name: free_port() for name in names.split()}
    command = [server, "-datadir", str(folder / "data")]
    for name, port in ports.items():
        command += [f"-{name}", f"127.0.0.1:{port}"]
    if tls is not None:
        command += ["-cert", str(tls), "-key", str(tls)]
    listening = ports["ndt7_addr_cleartext" if tls is None else "ndt7_addr"]
    one = Server(command, folder, listening, lambda: answers_tcp(listening))
    with running(one):
        yield listening


def _named(pair: str, figures: dict[str, float]) -> dict[str, float]:
    return {f"{pair}_{way}_bps": value for way, value in figures.items()}


if __name__ == "__main__":
    run()
