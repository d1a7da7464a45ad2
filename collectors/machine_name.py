"""What a machine calls itself beside others, if its settings give it no name."""

from __future__ import annotations

import re
import socket


def machine_name(otherwise: str) -> str:
    """The name of this host, in the characters that names of processes have."""
    host = re.sub(r"[^a-z0-9._-]", "-", socket.gethostname().lower())
    return host.lstrip("._-")[:63] or otherwise
