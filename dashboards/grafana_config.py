"""Settings of the files generated for Grafana."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from collectors.strict_model import StrictModel

OLDEST, NEWEST = 9, 13


class GrafanaConfig(StrictModel):
    """`[grafana]`. It holds no secrets: the files name environment variables of the
    Grafana process (`$INFLUX_URL`, `$INFLUX_TOKEN`), which Grafana fills in.

    In Grafana OSS every Viewer of an organisation may query all its data sources,
    whatever the folders' permissions. So laptops' own results are left out unless
    `personal` is true. They then belong in an organisation (`personal_organisation`) or
    a Grafana of their own, whose members may see them.

    `ca_file` has the authorities that `push` trusts instead of the system's.
    `target` is the oldest Grafana that the files must work with. `contact_email` and
    `contact_webhook` make a contact point for the one rule that watches Towpath.
    """

    target: Annotated[int, Field(ge=OLDEST, le=NEWEST)] = 9
    influx_url: str = "$INFLUX_URL"
    shared_database: str = "towpath"
    personal_database: str = "towpath_personal"
    shared_token: str = "$INFLUX_TOKEN"
    personal_token: str = "$INFLUX_PERSONAL_TOKEN"
    dashboards_path: str = "/var/lib/grafana/dashboards"
    folder: str = "Towpath"
    personal_folder: str = "Towpath personal data"
    contact_email: str = ""
    contact_webhook: str = ""
    export_rules: bool = True
    ca_file: Path | None = None
    organisation: Annotated[int, Field(ge=1)] = 1
    personal: bool = Field(
        default=False, description="the board and data source of laptops' own results"
    )
    personal_organisation: Annotated[int, Field(ge=1)] = 2

    @property
    def exposures(self) -> list[str]:
        """Returns how more people than intended could read personal data."""
        exposures = []
        if self.personal and self.organisation == self.personal_organisation:
            exposures.append(
                "grafana.personal_organisation is also grafana.organisation: in "
                "Grafana OSS every Viewer there may query laptops' own results; "
                "expected an organisation or a Grafana of their own"
            )
        if self.personal and self.personal_token == self.shared_token:
            exposures.append(
                "grafana.personal_token is also grafana.shared_token: users who may "
                "query the shared data source may read laptops' own results through "
                "it; expected users that may each read one database"
            )
        return exposures
