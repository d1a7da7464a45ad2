"""`python -m towpath.ask_health [PORT …]`: for the health check of a container.

Asks `/readyz` of the processes of this machine, by default on every port that a process
can have. Exit code 1 if one is not ready, or none answers. Uses the standard library
only, as it is started twice a minute in each container.
"""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterable

# `metrics.port` as it is by default, and those after it for single roles and parts of
# the store.
DEFAULT_PORTS = range(9468, 9490)
_TIMEOUT_S = 8.0


def ask(ports: Iterable[int], host: str = "127.0.0.1") -> list[str] | None:
    """The reasons of all that answer; None if none does."""
    answered, reasons = False, []
    for port in ports:
        connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", "/readyz")
            body = json.loads(connection.getresponse().read())
        except ConnectionRefusedError:
            continue
        except (OSError, http.client.HTTPException, ValueError) as error:
            body = {"reasons": [f"port {port} does not answer: {error!r}"]}
        finally:
            connection.close()
        answered = True
        reasons += body["reasons"]
    return reasons if answered else None


def main(ports: list[str]) -> int:
    """Prints the reasons; returns the exit code."""
    reasons = ask([int(port) for port in ports] or DEFAULT_PORTS)
    if reasons is None:
        print("no process answers: it has not started yet, or metrics.port is another")
        return 1
    print("\n".join(reasons) or "ready")
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
