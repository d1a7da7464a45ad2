"""Settings of a machine that alerts or stands by: `[alerts.standby]`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from collectors.machine_name import machine_name
from collectors.strict_model import StrictModel


class StandbyConfig(StrictModel):
    """`enabled`: several machines run the role `alert`, and one of them evaluates and
    notifies. `name`: this machine, by the name of its host if it is empty. Another
    machine takes over when it was not heard for `lease_s`."""

    enabled: bool = False
    name: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9._-]{0,62})?$")] = ""
    lease_s: Annotated[float, Field(ge=2, le=60)] = 8.0

    @property
    def machine(self) -> str:
        """What this machine calls itself; empty if it needs no name."""
        if self.name or not self.enabled:
            return self.name
        return machine_name("alert")
