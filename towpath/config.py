"""`towpath.toml`: one model made of the models of the rooms.

Relative paths are relative to the file's folder. Files without a setting of their own
are kept under `state`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from alerts.alert_config import AlertConfig
from alerts.notify.email import EmailConfig
from collectors.calls.calls_config import CallsConfig
from collectors.certificate_files import CertificateFile
from collectors.config_errors import encoding_error, explain, line_of
from collectors.experience.groups import GroupsConfig
from collectors.ingest import IngestConfig
from collectors.journal import JournalConfig
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_credentials import credentials_expire_s
from collectors.personal_data import Root
from collectors.snmp import SnmpConfig
from collectors.snmp.traps import TrapsConfig
from collectors.store import StoreConfig
from collectors.strict_model import StrictModel
from collectors.vpn_gateways import VpnGatewaysConfig
from dashboards.grafana_config import GrafanaConfig
from dashboards.report_config import ReportConfig
from dashboards.web import WebConfig
from probes.wire.catalogue import did_you_mean
from towpath.log_setup import LogConfig
from towpath.metrics import MetricsConfig

Role = Literal["poll", "ingest", "store", "alert", "web", "calls"]
_Model = TypeVar("_Model", bound=BaseModel)
ROLES: tuple[Role, ...] = ("poll", "ingest", "store", "alert", "web", "calls")

_UNDER_STATE: dict[tuple[str, ...], str] = {
    ("journal", "folder"): "journal",
    ("store", "folder"): "store",
    ("ingest", "registry", "path"): "agents.sqlite",
    ("ingest", "registry", "key_file"): "keys/pseudonym.key",
    ("ingest", "aside"): "aside/ingest",
    ("snmp", "state_file"): "snmp.json",
    ("traps", "state_file"): "traps.json",
    ("web", "reports"): "reports",
    ("web", "sign_in", "file"): "sign-in.sqlite",
    ("alerts", "standing"): "alerts.sqlite",
}


class ConfigError(ValueError):
    """The settings cannot be used. `findings` has a sentence for each problem."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings


class TowpathConfig(StrictModel):
    """All settings of `towpath run`."""

    council: str = "Towpath"
    state: Path = Path("var/state")
    estate: Path = Path("estate.toml")
    log: LogConfig = LogConfig()
    journal: JournalConfig
    nats: NatsConfig = NatsConfig()
    snmp: SnmpConfig = SnmpConfig()
    traps: TrapsConfig = TrapsConfig()
    vpn_gateways: VpnGatewaysConfig = VpnGatewaysConfig()
    ingest: IngestConfig = IngestConfig()
    groups: GroupsConfig = GroupsConfig()
    calls: CallsConfig = CallsConfig()
    store: StoreConfig
    alerts: AlertConfig
    web: WebConfig = WebConfig()
    report: ReportConfig = ReportConfig()
    metrics: MetricsConfig = MetricsConfig()
    grafana: GrafanaConfig = GrafanaConfig()
    self_s: Annotated[float, Field(gt=0)] = Field(
        default=60.0, description="seconds between two samples about itself"
    )

    @model_validator(mode="after")
    def _report_channel(self) -> Self:
        schedule, channels = self.report.schedule, self.alerts.channels
        if schedule is None:
            return self
        mail = [name for name, c in channels.items() if isinstance(c, EmailConfig)]
        if schedule.channel not in mail:
            hint = did_you_mean(schedule.channel, mail)
            raise ValueError(
                f"report.schedule.channel: {schedule.channel!r} is no channel of kind "
                f"email in alerts.channels{hint}"
            )
        return self

    @model_validator(mode="after")
    def _shared_journal(self) -> Self:
        if self.alerts.standby.enabled and self.journal.kind != "nats":
            raise ValueError(
                "alerts.standby.enabled: two machines need one journal; expected "
                'journal.kind = "nats"'
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _under_state(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        state = Path(str(raw.get("state", "var/state")))
        filled = dict(raw)
        for key_path, name in _UNDER_STATE.items():
            table = filled
            for key in key_path[:-1]:
                inner = table.get(key, {})
                if not isinstance(inner, dict):
                    break
                table[key] = table = dict(inner)
            else:
                table.setdefault(key_path[-1], str(state / name))
        return filled


def written_folders(config: TowpathConfig) -> dict[str, Path]:
    """The folders that Towpath writes to, by name."""
    folders = {
        "state": config.state,
        "journal": config.journal.folder,
        "store": config.store.folder,
        "alerts": config.alerts.standing.parent,
        "agents": config.ingest.registry.path.parent,
    }
    if config.web.reports is not None:
        folders["reports"] = config.web.reports
    if config.web.needs_sign_in:
        folders["sign-in"] = config.web.sign_in.file.parent
    return folders


# Tables → the role that uses what is in them; of other tables, each role does.
_USED_BY: dict[str, Role] = {
    "vpn_gateways": "poll",
    "ingest": "ingest",
    "calls": "calls",
    "alerts": "alert",
    "web": "web",
}


def certificate_files(
    config: TowpathConfig, roles: Sequence[Role]
) -> dict[str, CertificateFile]:
    """The files of certificates that these roles use, by setting."""
    files: dict[str, CertificateFile] = {}
    https, calls = config.ingest.https, config.calls
    if "ingest" in roles and https is not None and (pem := https.pem_files()):
        files["ingest.https.certificate"] = CertificateFile(pem.certificate)
    if "calls" in roles and calls.enabled and calls.certificate:
        files["calls.certificate"] = CertificateFile(calls.certificate)
    notified = calls.notifications
    if "calls" in roles and calls.enabled and notified.certificate:
        name = "calls.notifications.certificate"
        files[name] = CertificateFile(notified.certificate)
    unused = {table for table, role in _USED_BY.items() if role not in roles}
    unused |= {"grafana"} | ({"calls"} if not calls.enabled else set())
    unused |= {"store"} if config.store.kind != "influxdb" else set()
    for table in type(config).model_fields.keys() - unused:
        for setting, path in _authorities(getattr(config, table), table):
            files[setting] = CertificateFile(path, True)
    servers = {"nats": config.nats}
    if "ingest" in roles:
        servers |= node_servers(config)
    for setting, nats in servers.items():
        if nats.certificate is not None:
            files[f"{setting}.certificate"] = CertificateFile(nats.certificate)
        if nats.credentials_file is not None:
            files[f"{setting}.credentials_file"] = CertificateFile(
                nats.credentials_file, expires_s=credentials_expire_s
            )
    return files


def node_servers(config: TowpathConfig) -> dict[str, NatsConfig]:
    """The servers of DMZ nodes and of sites' nodes, by setting."""
    return {
        f"ingest.{table}.{name}": nats
        for table, nodes in (
            ("dmz_nodes", config.ingest.dmz_nodes),
            ("site_nodes", config.ingest.site_nodes),
        )
        for name, nats in nodes.items()
    }


def _authorities(value: Any, setting: str) -> Iterator[tuple[str, Path]]:
    """Every `ca_file` that is set in a table of the settings."""
    parts: Mapping[str, Any] = {}
    if isinstance(value, BaseModel):
        parts = {name: getattr(value, name) for name in type(value).model_fields}
    elif isinstance(value, dict):
        parts = value
    for name, part in parts.items():
        if name == "ca_file" and part:
            yield f"{setting}.{name}", Path(part)
        else:
            yield from _authorities(part, f"{setting}.{name}")


def personal_folders(config: TowpathConfig) -> dict[Root, Path]:
    """The folders of the places in `collectors.personal_data`, by these settings."""
    folders: dict[Root, Path] = {
        "journal": config.journal.folder,
        "store": config.store.folder,
        "bodies": config.ingest.aside,
        "registry": config.ingest.registry.path.parent,
        "api": config.alerts.standing.parent,
    }
    if config.ingest.broker is not None:
        folders["broker"] = config.ingest.broker.password_file.parent
    return folders


def read(path: Path) -> TowpathConfig:
    """Reads the settings. Raises `ConfigError` with all problems."""
    return read_part(TowpathConfig, path, {})


def read_part(
    model: type[_Model], path: Path | None, options: Mapping[str, Any]
) -> _Model:
    """Reads `model` from a TOML file, if there is one; `options` override it."""
    text = "" if path is None else _text(path)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: is not valid TOML: {error}"]) from None
    try:
        config = model.model_validate({**raw, **options})
    except ValidationError as error:
        raise ConfigError(
            [
                f"{path}:{line_of(text, _key_path(name)) or 1}: {name} {problem}"
                if path is not None
                else f"{name} {problem}"
                for name, problem in explain(error, model)
            ]
        ) from None
    return resolve_paths(config, Path.cwd() if path is None else path.resolve().parent)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}:{encoding_error(error)}"]) from None


def resolve_paths(model: _Model, base: Path) -> _Model:
    """Returns `model` with every relative path in it taken from `base`."""
    changed: dict[str, Any] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        moved = _resolved(value, base)
        if moved is not value:
            changed[name] = moved
    return model.model_copy(update=changed) if changed else model


def _resolved(value: Any, base: Path) -> Any:
    if isinstance(value, Path):
        return value if value.is_absolute() else base / value
    if isinstance(value, BaseModel):
        return resolve_paths(value, base)
    if isinstance(value, dict):
        inner = {key: _resolved(item, base) for key, item in value.items()}
        return value if all(inner[key] is value[key] for key in value) else inner
    if isinstance(value, tuple):
        moved = tuple(_resolved(item, base) for item in value)
        same = all(a is b for a, b in zip(moved, value, strict=True))
        return value if same else moved
    return value


def _key_path(name: str) -> tuple[int | str, ...]:
    """Parses `devices[3].address` into (devices, 2, address)."""
    parts: list[int | str] = []
    for piece in name.split("."):
        key, _, index = piece.partition("[")
        parts.append(key)
        if index:
            parts.append(int(index.rstrip("]")) - 1)
    return tuple(parts)
