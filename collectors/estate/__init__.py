"""What the council has: one checked model from TOML or CSV, re-read while running."""

from collectors.estate.load import EstateError, load, warnings
from collectors.estate.model import Device, Estate, Line, Site, VpnGateway, expects_up
from collectors.estate.watch import EstateFile

__all__ = [
    "Device",
    "Estate",
    "EstateError",
    "EstateFile",
    "Line",
    "Site",
    "VpnGateway",
    "expects_up",
    "load",
    "warnings",
]
