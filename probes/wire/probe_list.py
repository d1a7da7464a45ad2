"""All probes, in the order in which they are shown. To add one, write its `Probe` in a
module here, its runner in `probes/measure`, and its line in `PROBES`."""

from __future__ import annotations

from probes.wire.laptop_probes import AGENT, LAPTOP, VPN, WIFI
from probes.wire.path_probes import (
    BANDWIDTH,
    CALL_PATH,
    MEDIA_EDGE,
    PATH,
    TEAMS_RELAY,
)
from probes.wire.probe import Probe
from probes.wire.service_probes import NAME_LOOKUP, WEB

PROBES: tuple[Probe, ...] = (
    CALL_PATH,
    PATH,
    TEAMS_RELAY,
    MEDIA_EDGE,
    NAME_LOOKUP,
    WEB,
    VPN,
    WIFI,
    LAPTOP,
    BANDWIDTH,
    AGENT,
)


def find_probe(name: str) -> Probe | None:
    """Returns the probe of that name; None if there is none, as for the results of a
    newer agent."""
    return next((probe for probe in PROBES if probe.name == name), None)


def probe_title(name: str) -> str:
    """Returns the title of the probe of that name, or `name` if there is none."""
    probe = find_probe(name)
    return name if probe is None else probe.title


def probe_about(name: str) -> str:
    """Returns what the probe of that name looks at; empty if there is none."""
    probe = find_probe(name)
    return "" if probe is None else probe.about
