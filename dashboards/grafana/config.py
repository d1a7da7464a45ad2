"""Settings of what is generated for Grafana."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

OLDEST, NEWEST = 9, 13


class GrafanaConfig(BaseModel):
    """`[grafana]`. Secrets are not in it: files name environment variables of the
    Grafana process (`$INFLUX_URL`, `$INFLUX_TOKEN`), which Grafana fills in itself.

    Grafana without data source permissions lets every editor ask any data source:
    set `personal` to false, or keep personal data in an organisation of its own, where
    editors are not the people who may see it.

    `target` is the oldest Grafana the files must work with. `contact_email` and
    `contact_webhook` make a contact point for the one rule that watches Towpath.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    personal: bool = Field(
        default=True, description="the board and data source of laptops' own results"
    )
