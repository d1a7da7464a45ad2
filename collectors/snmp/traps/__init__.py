"""Receives traps and informs, authenticates them and writes them as rows of `event`.

`trap_socket` receives datagrams; `trap_senders` authenticates them (`trap_message`,
`usm`); `trap_events` converts them by the data in `catalog/`; `storm_counts` counts
equal events; `trap_receiver` connects these parts.
"""

from typing import TYPE_CHECKING

from collectors.late_exports import export_late

if TYPE_CHECKING:
    from collectors.snmp.traps.trap_catalog import CatalogError
    from collectors.snmp.traps.trap_receiver import TrapReceiver, TrapStats
    from collectors.snmp.traps.traps_config import TrapsConfig
else:
    __getattr__ = export_late(__name__)

__all__ = ["CatalogError", "TrapReceiver", "TrapStats", "TrapsConfig"]
