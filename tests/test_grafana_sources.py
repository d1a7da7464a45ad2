"""The data sources for Grafana, and who may read personal data through them."""

from __future__ import annotations

import json

import yaml
from grafana_files import grafana_texts

from dashboards.grafana_config import GrafanaConfig


def test_the_data_sources_name_their_database_for_old_and_new_grafana() -> None:
    texts = grafana_texts(personal=True)
    document = yaml.safe_load(texts["provisioning/datasources/towpath.yaml"])
    sources = {source["uid"]: source for source in document["datasources"]}
    assert sources["towpath-shared"]["database"] == "towpath"
    assert sources["towpath-personal"]["database"] == "towpath_personal"
    for source in sources.values():
        assert source["database"] == source["jsonData"]["dbName"]
        token = source["secureJsonData"]["httpHeaderValue1"]
        assert token.startswith("Token $INFLUX_")


def test_personal_data_is_not_in_grafana_unless_a_council_asks_for_it() -> None:
    texts = grafana_texts()
    assert "towpath_personal" not in "".join(texts.values())
    assert not any("/personal/" in name for name in texts)
    document = yaml.safe_load(texts["provisioning/datasources/towpath.yaml"])
    # An earlier version provisioned this source for every Viewer: it is deleted.
    assert document["deleteDatasources"] == [
        {"name": "Towpath personal data", "orgId": 1}
    ]


def test_personal_data_is_provisioned_into_an_organisation_of_its_own() -> None:
    texts = grafana_texts(personal=True, personal_organisation=7)
    for name, kind in (("datasources", "datasources"), ("dashboards", "providers")):
        text = texts[f"provisioning/{name}/towpath.yaml"]
        assert "every Viewer of an organisation may query all its\n# data" in text
        entries = yaml.safe_load(text)[kind]
        organisations = {entry["name"]: entry["orgId"] for entry in entries}
        assert organisations == {"Towpath": 1, "Towpath personal data": 7}
    board = json.loads(texts["dashboards/personal/towpath-laptop.json"])
    assert board["links"] == []


def test_a_setting_that_lets_more_people_read_personal_data_gives_a_warning() -> None:
    assert GrafanaConfig(personal_organisation=1).exposures == []
    assert GrafanaConfig(personal=True).exposures == []
    (same,) = GrafanaConfig(personal=True, personal_organisation=1).exposures
    assert "every Viewer there may query laptops' own results" in same
    (token,) = GrafanaConfig(personal=True, personal_token="$INFLUX_TOKEN").exposures
    assert "may read laptops' own results through it" in token
