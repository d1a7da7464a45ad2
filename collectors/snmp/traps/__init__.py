"""Traps and informs: received, believed or not, and turned into rows of `event`.

`inbox` takes datagrams, `door` lets in what is authentic (`message`, `secured`, `usm`),
`events` reads it by the data in `catalog/`, `tally` counts what is equal, `receiver`
puts them together. BER is `collectors.snmp.ber`.
"""

from collectors.snmp.traps.config import TrapsConfig
from collectors.snmp.traps.mapping import CatalogError
from collectors.snmp.traps.receiver import TrapReceiver, TrapStats

__all__ = ["CatalogError", "TrapReceiver", "TrapStats", "TrapsConfig"]
