"""Where in the network alerts and silences are: which device and port. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from alerts.alert import Alert
from alerts.silence import Silence
from collectors.estate import Device, Estate
from dashboards.web.site_state import Cause


class AlertPlace(NamedTuple):
    """`port` is empty if the alert is about the whole device."""

    device: Device
    port: str


def alert_place(alert: Alert, estate: Estate) -> AlertPlace | None:
    """Returns the device and port that an alert is about, or on which its line ends;
    None if it is about neither, or they are not in the estate."""
    id, port = _place_ids(alert, estate)
    device = next((known for known in estate.devices if known.id == id), None)
    return None if device is None else AlertPlace(device, port)


def causes_at(
    causes: Iterable[Cause], estate: Estate, device: str, port: str | None = None
) -> list[Cause]:
    """Returns the causes that are about a device, or explain an alert about it. Of a
    port: those about it or about all of its device."""

    def is_there(alert: Alert) -> bool:
        id, its_port = _place_ids(alert, estate)
        return id == device and (port is None or its_port in ("", port))

    return [
        cause
        for cause in causes
        if any(is_there(alert) for alert in (cause.alert, *cause.explains))
    ]


def silences_at(
    silences: Iterable[Silence], estate: Estate, site: str, device: str = ""
) -> list[Silence]:
    """Returns the silences that cover something at a site, or of one of its devices.
    Those of a rule alone cover all sites."""
    ids = {
        known.id
        for known in estate.devices
        if known.site == site and (not device or known.id == device)
    }
    lines = [
        line
        for line in estate.lines
        if (line.device in ids if device else line.site == site)
    ]
    held = {
        "site": {site},
        "device": ids,
        "line": {line.id for line in lines},
        "supplier": {line.supplier for line in lines},
    }
    return [
        silence
        for silence in silences
        if all(
            name in held[kind] for kind, name in silence.scope.items() if kind in held
        )
    ]


def _place_ids(alert: Alert, estate: Estate) -> tuple[str, str]:
    """Returns the device id and port of the subject, or those of its line."""
    id, port = alert.subject.get("device", ""), alert.subject.get("port", "")
    name = alert.subject.get("line", "")
    if name and not id:
        line = next((line for line in estate.lines if line.id == name), None)
        id, port = (line.device, line.port) if line else ("", "")
    return id, port
