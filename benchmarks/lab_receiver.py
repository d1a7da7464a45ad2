"""Receives Towpath's pages in the lab: `python -m benchmarks.lab_receiver PORT FILE`
writes each as a line of JSON with the time of its arrival."""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class PageRequest(BaseHTTPRequestHandler):
    """One POST is one page."""

    file: Path

    def do_POST(self) -> None:
        page = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.file.open("a") as file:
            file.write(json.dumps([round(time.time() * 1000), page]) + "\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The file is the log."""


if __name__ == "__main__":
    PageRequest.file = Path(sys.argv[2])
    HTTPServer(("127.0.0.1", int(sys.argv[1])), PageRequest).serve_forever()
