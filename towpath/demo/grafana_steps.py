"""How a newcomer points a Grafana at the demo: its files, and what to type."""

from __future__ import annotations

import secrets
from pathlib import Path

from collectors.estate import Estate
from dashboards.grafana import BOARDS, build_folder
from dashboards.grafana.site_texts import name_sites
from dashboards.grafana_config import GrafanaConfig

TOKEN_FILE = "grafana.token"


def write_token(folder: Path) -> str:
    """Writes the token with which Grafana may read the demo's store, and returns it."""
    token = secrets.token_hex(16)
    path = folder / TOKEN_FILE
    path.touch(0o600)
    path.write_text(token + "\n")
    return token


def write_boards(folder: Path, config: GrafanaConfig, estate: Estate) -> Path:
    """Writes the boards, with the names of the estate's sites, and provisioning files.
    Returns their folder."""
    out = folder / "grafana"
    names = {site.id: site.name for site in estate.sites}
    build_folder(out, config, boards=name_sites(BOARDS, names))
    return out


def steps(out: Path, web: int, token: str) -> str:
    """Returns what to type, for a Grafana on this machine. `web` is the port of the
    status page, `out` the folder of `write_boards`."""
    url = f"http://127.0.0.1:{web}"
    return f"""\
to see this in Grafana (9 to 13, on this machine), type in another terminal:
    export INFLUX_URL={url} INFLUX_TOKEN={token}
    docker run --rm --network host -e INFLUX_URL -e INFLUX_TOKEN \\
      -v {out}/provisioning:/etc/grafana/provisioning \\
      -v {out}/dashboards:/var/lib/grafana/dashboards grafana/grafana
  and open http://127.0.0.1:3000/dashboards (user and password: admin), folder Towpath.
  Into a Grafana that you have, with the token of a service account with the role Admin:
    TOWPATH_GRAFANA_TOKEN=… towpath dashboards push --url http://127.0.0.1:3000 \\
      --create-data-sources -c {out.parent / "towpath.toml"}
  By hand it is a data source of type InfluxDB: query language InfluxQL, URL {url},
  database towpath, and the custom HTTP header Authorization with Token {token}"""
