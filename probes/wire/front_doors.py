"""The front doors of Microsoft 365: what a laptop times, and what it is known by."""

from __future__ import annotations

from probes.wire.policy import Service

# Part of a figure's name → a small file on that front door; any answer counts.
FRONT_DOORS = {
    "teams": Service("Microsoft Teams", "https://teams.microsoft.com/favicon.ico"),
    "exchange": Service("Exchange Online", "https://outlook.office365.com/favicon.ico"),
    "sign_in": Service(
        "Microsoft sign-in", "https://login.microsoftonline.com/favicon.ico"
    ),
}
