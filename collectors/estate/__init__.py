"""The estate: sites, devices and lines in one checked model, reloaded on change."""

from typing import TYPE_CHECKING

from collectors.late_exports import export_late

if TYPE_CHECKING:
    from collectors.estate.estate_loader import EstateError, load, warnings
    from collectors.estate.estate_model import (
        Device,
        Estate,
        Line,
        Room,
        Site,
        VpnGateway,
        expects_up,
    )
    from collectors.estate.estate_watcher import EstateFile
else:
    __getattr__ = export_late(__name__)

__all__ = [
    "Device",
    "Estate",
    "EstateError",
    "EstateFile",
    "Line",
    "Room",
    "Site",
    "VpnGateway",
    "expects_up",
    "load",
    "warnings",
]
