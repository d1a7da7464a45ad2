"""Data sources, folders and contact points as Grafana's provisioning files. Pure."""

from __future__ import annotations

from typing import Any

from dashboards.grafana.board import PERSONAL, SHARED
from dashboards.grafana_config import GrafanaConfig

PRUNES_SINCE = 12
CONTACT = "Towpath watch"
PERSONAL_NAME = "Towpath personal data"


def datasources(config: GrafanaConfig) -> dict[str, Any]:
    """Returns the InfluxQL data sources, each in its organisation. The database is
    named twice: Grafana 9 reads `database`, newer ones `jsonData.dbName`."""
    document: dict[str, Any] = {"apiVersion": 1}
    if config.target >= PRUNES_SINCE:
        document["prune"] = True
    if not config.personal or config.personal_organisation != config.organisation:
        # One that was provisioned there before is deleted: every Viewer can query it.
        document["deleteDatasources"] = [
            {"name": PERSONAL_NAME, "orgId": config.organisation}
        ]
    sources = [
        _datasource(
            config, "Towpath", SHARED, config.shared_database, config.shared_token
        )
    ]
    if config.personal:
        sources.append(
            _datasource(
                config,
                PERSONAL_NAME,
                PERSONAL,
                config.personal_database,
                config.personal_token,
            )
        )
    document["datasources"] = sources
    return document


def _datasource(
    config: GrafanaConfig, name: str, uid: str, database: str, token: str
) -> dict[str, Any]:
    return {
        "name": name,
        "uid": uid,
        "orgId": _organisation(config, uid == PERSONAL),
        "type": "influxdb",
        "access": "proxy",
        "url": config.influx_url,
        "database": database,
        "isDefault": uid == SHARED,
        "editable": False,
        "jsonData": {
            "version": "InfluxQL",
            "dbName": database,
            "httpMode": "POST",
            "timeInterval": "60s",
            "maxSeries": 2000,
            "httpHeaderName1": "Authorization",
        },
        "secureJsonData": {"httpHeaderValue1": f"Token {token}"},
    }


def providers(config: GrafanaConfig) -> dict[str, Any]:
    """Returns the folders of boards, each in its organisation. Provisioning cannot
    restrict a folder: every Viewer of the organisation has access."""
    folders = [_provider(config, "Towpath", config.folder, "towpath", "shared")]
    if config.personal:
        folders.append(
            _provider(
                config,
                PERSONAL_NAME,
                config.personal_folder,
                "towpath-personal",
                "personal",
            )
        )
    return {"apiVersion": 1, "providers": folders}


def _provider(
    config: GrafanaConfig, name: str, folder: str, uid: str, path: str
) -> dict[str, Any]:
    return {
        "name": name,
        "orgId": _organisation(config, path == "personal"),
        "folder": folder,
        "folderUid": uid,
        "type": "file",
        "disableDeletion": True,
        "updateIntervalSeconds": 30,
        "allowUiUpdates": False,
        "options": {
            "path": f"{config.dashboards_path}/{path}",
            "foldersFromFilesStructure": False,
        },
    }


def contact_points(config: GrafanaConfig) -> dict[str, Any] | None:
    """Returns the contact point of the rule that watches Towpath; None if none is set.

    Notification policies are left alone: provisioning them would replace the council's.
    """
    receivers: list[dict[str, Any]] = []
    if config.contact_email:
        receivers.append(
            {
                "uid": "towpath-watch-mail",
                "type": "email",
                "disableResolveMessage": False,
                "settings": {"addresses": config.contact_email, "singleEmail": False},
            }
        )
    if config.contact_webhook:
        receivers.append(
            {
                "uid": "towpath-watch-hook",
                "type": "webhook",
                "disableResolveMessage": False,
                "settings": {"url": config.contact_webhook, "httpMethod": "POST"},
            }
        )
    if not receivers:
        return None
    return {
        "apiVersion": 1,
        "contactPoints": [
            {"orgId": config.organisation, "name": CONTACT, "receivers": receivers}
        ],
    }


def _organisation(config: GrafanaConfig, personal: bool) -> int:
    return config.personal_organisation if personal else config.organisation
