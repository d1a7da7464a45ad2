"""Settings of what is generated for Grafana."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

OLDEST, NEWEST = 9, 13


class GrafanaConfig(BaseModel):
    """`[grafana]`. Secrets are not in it: files name environment variables of the
    Grafana process (`$TOWPATH_INFLUX_TOKEN`), which Grafana fills in itself.

    `target` is the oldest Grafana the files must work with. `contact_email` and
    `contact_webhook` make a contact point for the one rule that watches Towpath.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: Annotated[int, Field(ge=OLDEST, le=NEWEST)] = 9
    influx_url: str = "http://influxdb:8086"
    shared_database: str = "towpath"
    personal_database: str = "towpath_personal"
    shared_token: str = "$TOWPATH_INFLUX_TOKEN"
    personal_token: str = "$TOWPATH_INFLUX_PERSONAL_TOKEN"
    dashboards_path: str = "/var/lib/grafana/dashboards"
    folder: str = "Towpath"
    personal_folder: str = "Towpath personal data"
    contact_email: str = ""
    contact_webhook: str = ""
    export_rules: bool = True
