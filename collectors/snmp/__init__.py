"""SNMP: polls devices and turns what they count into rows.

`Poller` runs; `poll_once` asks one device everything once; `session.py` is what both
speak through, `udp_session.py` how. What is asked every minute gufo-snmp decodes, if
it has a wheel.
"""

from collectors.snmp.polling.poll_stats import PollStats
from collectors.snmp.polling.poller import Poller
from collectors.snmp.session.credentials import (
    Credential,
    CredentialError,
    Credentials,
    credential,
)
from collectors.snmp.snmp_config import SnmpConfig

__all__ = [
    "Credential",
    "CredentialError",
    "Credentials",
    "PollStats",
    "Poller",
    "SnmpConfig",
    "credential",
]
