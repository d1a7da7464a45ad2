"""Traps and informs: received, believed or not, and turned into rows of `event`.

`inbox` takes datagrams, `door` lets in what is authentic (`message`, `secured`, `usm`),
`events` reads it by the data in `catalog/`, `tally` counts what is equal, `receiver`
puts them together. BER is `collectors.snmp.session.ber`.
"""

from collectors.snmp.traps.trap_catalog import CatalogError
from collectors.snmp.traps.trap_receiver import TrapReceiver, TrapStats
from collectors.snmp.traps.traps_config import TrapsConfig

__all__ = ["CatalogError", "TrapReceiver", "TrapStats", "TrapsConfig"]
