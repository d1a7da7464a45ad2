"""The probes that see more by looking often than by looking once: tunnel, Wi-Fi, the
laptop itself. One of each, since what they remember is the same machine's."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from probes.measure.laptop_load import LaptopLoad
from probes.measure.vpn import Vpn
from probes.measure.wifi import Wifi

log = logging.getLogger(__name__)


class ContinuousProbes:
    """`await glance(opt_out)` every few seconds, between the results."""

    def __init__(
        self,
        vpn: Vpn | None = None,
        wifi: Wifi | None = None,
        laptop: LaptopLoad | None = None,
    ) -> None:
        self.vpn, self.wifi, self.laptop = (
            vpn or Vpn(),
            wifi or Wifi(),
            laptop or LaptopLoad(),
        )
        self._failed = False

    async def glance(self, opt_out: Sequence[str]) -> None:
        """Never raises: a result says what is wrong, a glance does not."""
        try:
            if "laptop" not in opt_out:
                self.laptop.observe()
            if "vpn" not in opt_out:
                self.vpn.observe()
            if "wifi" not in opt_out and self.wifi.can_observe_often:
                await self.wifi.observe()
        except Exception:  # a fault in one probe must not stop the others
            if not self._failed:
                log.exception("looking at tunnel, Wi-Fi and processor failed in itself")
            self._failed = True
