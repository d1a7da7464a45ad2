"""SNMP: polls devices, and turns their counters and readings into rows.

- `session`: messages, security, sessions with one agent
- `tables`: ports, neighbours, VLANs and other tables of the standard MIBs
- `profiles`: what devices of one kind have beside that, as data
- `polling`: the poller, and `towpath poll`
- `traps`: notifications from devices
"""

from typing import TYPE_CHECKING

from collectors.late_exports import export_late

if TYPE_CHECKING:
    from collectors.snmp.polling.poll_stats import PollStats
    from collectors.snmp.polling.poller import Poller
    from collectors.snmp.session.credentials import (
        Credential,
        CredentialError,
        Credentials,
        credential,
    )
    from collectors.snmp.snmp_config import SnmpConfig
else:
    __getattr__ = export_late(__name__)

__all__ = [
    "Credential",
    "CredentialError",
    "Credentials",
    "PollStats",
    "Poller",
    "SnmpConfig",
    "credential",
]
