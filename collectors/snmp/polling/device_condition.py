"""The condition of one device beside its ports: its health, and its IP SLA tests."""

from __future__ import annotations

import structlog

from collectors.batch import Batch
from collectors.snmp.polling.device_health import HealthPoll
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.session import Failed
from collectors.snmp.tables.device_tags import DeviceTags
from collectors.snmp.tables.ip_sla import IpSla

_log = structlog.get_logger()


class DeviceCondition:
    """What goes wrong in reading it is logged, and leaves the ports' rows alone."""

    def __init__(self, health: HealthPoll | None) -> None:
        self._health, self._ip_sla = health, IpSla()

    def forget(self) -> None:
        """The device restarted: what was learnt may not hold."""
        if self._health is not None:
            self._health.forget()

    @property
    def findings(self) -> dict[str, str]:
        return {} if self._health is None else self._health.findings

    async def read(
        self,
        snmp: DeviceSession,
        place: DeviceTags,
        time_ms: int,
    ) -> list[Batch]:
        """The rows that are due."""
        if self._health is None:
            return []
        try:
            batches = await self._health.poll(snmp, place, time_ms)
            if not snmp.is_v1:
                batches += await self._ip_sla.poll(snmp, place, time_ms)
            return batches
        except Failed as failed:
            _log.info(
                "health_not_read",
                device=place.device,
                outcome=failed.outcome.value,
                detail=failed.detail,
            )
            return []
