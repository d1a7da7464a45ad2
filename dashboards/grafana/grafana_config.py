"""Settings of what is generated for Grafana."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from collectors.strict_model import StrictModel

OLDEST, NEWEST = 9, 13


class GrafanaConfig(StrictModel):
    """`[grafana]`. Secrets are not in it: files name environment variables of the
    Grafana process (`$INFLUX_URL`, `$INFLUX_TOKEN`), which Grafana fills in itself.

    In Grafana OSS every Viewer of an organisation may query all its data sources,
    whatever the permissions of folders say. So laptops' own results are left out unless
    `personal` is true, and then belong in an organisation (`personal_organisation`) or
    a Grafana of their own, whose members are those who may see them.

    `target` is the oldest Grafana the files must work with. `contact_email` and
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
    organisation: Annotated[int, Field(ge=1)] = 1
    personal: bool = Field(
        default=False, description="the board and data source of laptops' own results"
    )
    personal_organisation: Annotated[int, Field(ge=1)] = 2

    @property
    def exposures(self) -> list[str]:
        """How more people could read personal data than those who were meant to."""
        found = []
        if self.personal and self.organisation == self.personal_organisation:
            found.append(
                "grafana.personal_organisation is also grafana.organisation: in "
                "Grafana OSS every Viewer there may query laptops' own results; "
                "expected an organisation or a Grafana of their own"
            )
        if self.personal and self.personal_token == self.shared_token:
            found.append(
                "grafana.personal_token is also grafana.shared_token: whoever may "
                "query the shared data source may read laptops' own results through "
                "it; expected users that may each read one database"
            )
        return found
