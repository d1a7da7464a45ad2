"""`towpath check`: finds every problem that can be found without starting anything."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from alerts import unknown_names
from alerts.action_link import key_problem
from alerts.maintenance_planner import uncountable_windows
from alerts.notify.channels import channel_problems
from alerts.rule_files import RuleError, load_rules
from collectors.calls.calls_check import call_problems, call_warnings
from collectors.deletion_clock import CLOCK_FILE, clock_warning
from collectors.disk_space import nearest_existing
from collectors.estate import Estate, EstateError, load, warnings
from collectors.http import CannotServe
from collectors.ingest.policies import agent_policy
from collectors.ingest.stop_order_file import read_orders
from collectors.server_measurements import CATALOGUE
from collectors.snmp import CredentialError, Credentials
from collectors.snmp.polling.credential_choice import DEFAULT, Subnets, credential_names
from collectors.snmp.profiles import ProfileError
from collectors.snmp.profiles import load as load_profiles
from collectors.snmp.traps import CatalogError
from collectors.snmp.traps.trap_catalog import TrapCatalog
from collectors.snmp.traps.trap_catalog import load as load_traps
from dashboards.web import GrafanaSource
from dashboards.web.visitors import Role as VisitorRole
from probes.wire.catalogue import did_you_mean
from probes.wire.clock import wall_ms
from probes.wire.counted_text import counted
from probes.wire.data_costs import day, regular_bytes
from towpath.check_journal import journal_findings
from towpath.config import ROLES, Role, TowpathConfig
from towpath.dmz_parts import dmz_problems
from towpath.run import Installation

# A row of `interface` takes about this much in the journal, compressed.
_JOURNAL_BYTES_A_ROW = 40
_MEASUREMENTS_A_DEVICE = 2


class ConfigCheck(NamedTuple):
    """Sentences: problems that prevent a start, warnings, and what would run."""

    problems: list[str]
    warnings: list[str]
    facts: list[str]


def check_config(config: TowpathConfig) -> ConfigCheck:
    """Checks everything that the settings name."""
    wrong: list[str] = []
    misleading: list[str] = []
    facts: list[str] = []
    estate: Estate | None = None
    try:
        estate = load(config.estate)
    except EstateError as error:
        wrong += error.findings
    else:
        misleading += warnings(estate)
        facts.append(
            f"estate: {counted(len(estate.sites), 'site')}, "
            f"{counted(len(estate.devices), 'device')}, "
            f"{counted(len(estate.lines), 'line')}, "
            f"{counted(len(estate.vpn_gateways), 'VPN gateway')}, "
            f"{counted(len(estate.rooms), 'room')}"
        )
    try:
        profiles = load_profiles(config.snmp.profiles)
        if config.snmp.profiles is not None:
            profiles.check(config.snmp.profiles)
    except ProfileError as error:
        wrong += error.findings
    try:
        credentials = Credentials.read(config.snmp.credentials_file)
    except CredentialError as error:
        wrong.append(str(error))
    else:
        if estate is not None:
            wrong += _credential_problems(
                estate, credentials, config.snmp.credentials_by_subnet
            )
            misleading += credentials.warnings()
    try:
        traps = load_traps(config.traps.catalog)
    except CatalogError as error:
        wrong += error.findings
    else:
        facts.append(f"traps: {len(traps.traps)} known")
        wrong += _alert_problems(config, estate, traps, facts)
    if config.traps.enabled and estate is not None:
        wrong += _trap_sender_problems(config, estate)
    wrong += channel_problems(config.alerts.channels)
    if ahead := clock_warning(config.state / CLOCK_FILE, wall_ms()):
        misleading.append(ahead)
    for name, secret in config.alerts.secrets():
        try:
            secret.value()
        except LookupError as error:
            misleading.append(f"{name}: {error}: that channel notifies nobody")
    misleading += _link_problems(config)
    misleading += _sign_in_problems(config)
    if not (config.alerts.channels or config.ingest.dmz):
        misleading.append("alerts.channels: none is set, so alerts notify nobody")
    if config.store.kind == "influxdb":
        try:
            config.store.token()
        except ValueError as error:
            wrong.append(str(error))
    problems, warned, found = journal_findings(config)
    wrong += problems
    misleading += warned
    facts += found
    if config.web.grafana.is_on:
        try:
            GrafanaSource(config.web.grafana, config.store, CATALOGUE)
        except ValueError as error:
            wrong.append(str(error))
    wrong += _shared_ports(config)
    https, notified = config.ingest.https, config.calls.notifications
    for name, certificate in (
        ("ingest.https", None if https is None else https.pem_files()),
        ("calls.notifications", notified.pem_files()),
    ):
        try:
            if certificate is not None:
                certificate.load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        except CannotServe as error:
            wrong.append(f"{name}: {error}")
    if config.ingest.https is None and config.ingest.mqtt is None:
        misleading.append("ingest: neither https nor mqtt is set: no laptop can report")
    if estate is not None and config.ingest.policy.reflector_secret_file is None:
        for reflector in estate.reflectors:
            if reflector.authenticated:
                wrong.append(
                    f"reflector {reflector.id}: is authenticated, but laptops get no "
                    "key: expected ingest.policy.reflector_secret_file"
                )
            elif reflector.ndt7_url:
                misleading.append(
                    f"reflector {reflector.id}: laptops get no token for its speed "
                    "tests without ingest.policy.reflector_secret_file"
                )
    if config.calls.enabled and estate is not None:
        wrong += call_problems(config.calls, estate)
        misleading += call_warnings(config.calls, estate)
    misleading += _fleet_problems(config)
    if estate is not None:
        misleading += _data_problems(config, estate)
    if not (config.alerts.heartbeat_url or config.ingest.dmz):
        misleading.append(
            "alerts.heartbeat_url is not set: nothing notices if Towpath stops"
        )
    if estate is not None:
        facts.append(_journal_hours(config, estate))
    wrong += _folder_problems(config)
    misleading += _unwritable(config)
    misleading += _low_disk_space(config)
    roles: tuple[Role, ...] = ("ingest",) if config.ingest.dmz else ROLES
    wrong += dmz_problems(config, roles)
    if config.ingest.dmz and estate is not None and estate != Estate():
        wrong.append(
            f"estate {config.estate}: a DMZ node gets what it needs from the inside: "
            "expected an empty file"
        )
    if not wrong:
        try:
            Installation(config, roles)
        except (ValueError, LookupError, OSError) as error:
            wrong += str(error).splitlines()
    return ConfigCheck(wrong, misleading, facts)


def _alert_problems(
    config: TowpathConfig, estate: Estate | None, traps: TrapCatalog, facts: list[str]
) -> list[str]:
    """Problems of rules, overrides and routes."""
    try:
        if estate is None:
            rules = load_rules(CATALOGUE, config.alerts.rules)
        else:
            known = unknown_names.known_values(estate, traps.events)
            check = unknown_names.unknown_names_check(known)
            rules = load_rules(CATALOGUE, config.alerts.rules, check)
    except RuleError as error:
        return error.findings
    facts.append(f"rules: {len(rules.ids)}")
    if estate is None:
        return []
    return [
        *unknown_names.unknown_in_routes(config.alerts, rules, estate),
        *unknown_names.unknown_in_events(config.alerts, estate),
        *unknown_names.unknown_in_maintenance(config.alerts, rules, estate),
        *asyncio.run(uncountable_windows(config.alerts)),
    ]


def _link_problems(config: TowpathConfig) -> Iterator[str]:
    """Why messages would have no links, or links that do not work."""
    links, base_url = config.alerts.links, config.alerts.base_url
    if not links.key:
        return
    try:
        problem = key_problem(links.key.value())
    except LookupError as error:
        problem = str(error)
    if problem:
        yield f"alerts.links.key: {problem}: messages have no links"
    if not base_url:
        yield "alerts.links.key is set, but alerts.base_url is not: no links are sent"
    host = urlsplit(base_url).hostname or ""
    if host and not {host, "*"} & set(config.web.names()):
        yield (
            f"web.hosts does not have {host}, the host of alerts.base_url: the web "
            "role refuses the links of messages"
        )


def _sign_in_problems(config: TowpathConfig) -> Iterator[str]:
    """Why people could not sign in, or nobody could administer."""
    sign_in = config.web.sign_in
    if sign_in.oidc is not None and sign_in.oidc.client_secret:
        try:
            sign_in.oidc.client_secret.value()
        except LookupError as error:
            yield f"web.sign_in.oidc.client_secret: {error}: nobody can sign in"
    if sign_in.oidc is not None and sign_in.oidc.needs_offline_access:
        yield (
            'web.sign_in.oidc.scopes has no "offline_access": Entra ID then confirms '
            "no session, and people sign in again every "
            f"{sign_in.oidc.longest_unconfirmed_s // 60} minutes"
        )
    if config.web.needs_sign_in and not sign_in.local_users:
        given = {*sign_in.roles.values(), sign_in.everybody}
        if VisitorRole.ADMIN not in given:
            yield (
                "web.sign_in.roles: nobody is admin, so nobody can end a session or "
                "read who did what"
            )
    if sign_in.is_on and not sign_in.base_url:
        yield (
            "web.sign_in.base_url is not set: signing in works on this machine only, "
            "by an address that begins with http://"
        )


def _credential_problems(
    estate: Estate, known: Credentials, by_subnet: Subnets
) -> Iterator[str]:
    for device in estate.devices:
        if not (device.poll and device.snmp):
            continue
        names = credential_names(device.credentials, device.address, by_subnet)
        if names[-1] == DEFAULT and any(name in known for name in names):
            # No setting names `default`: it is only the last resort.
            names = names[:-1]
        for name in names:
            try:
                known.get(name)
            except CredentialError as error:
                yield f"device {device.id}: {error}"


def _trap_sender_problems(config: TowpathConfig, estate: Estate) -> Iterator[str]:
    ids = [device.id for device in estate.devices]
    for address, device in config.traps.addresses.items():
        if device not in ids:
            hint = did_you_mean(device, ids)
            yield f"traps.addresses.{address}: no device is called {device!r}{hint}"


def _fleet_problems(config: TowpathConfig) -> Iterator[str]:
    """Orders to stop that laptops would not obey, and a list that is not there."""
    key, path = config.ingest.policy.stop_key, config.ingest.registry.stop_orders
    try:
        unusable = sum(bool(known.fault) for known in read_orders(path, [key]))
    except OSError as error:
        yield f"{path}: orders to stop cannot be read: {error.strerror}"
    else:
        if unusable:
            yield (
                f"{path}: orders to stop that do nothing: {unusable}, because "
                "ingest.policy.stop_key is not their key, or they are damaged "
                "(towpath fleet stops)"
            )
    expected = config.web.fleet_expected
    if expected is not None and not expected.is_file():
        yield f"web.fleet_expected: there is no file {expected}"


def _data_problems(config: TowpathConfig, estate: Estate) -> Iterator[str]:
    """Whether a day of what laptops are to measure fits into their data budget."""
    usual = config.ingest.policy
    rings = {
        f"ingest.policy.rings.{ring}": usual.for_ring(ring) for ring in usual.rings
    }
    for name, asked in {"ingest.policy": usual, **rings}.items():
        policy = agent_policy(estate, asked, "")
        for metered, budget_bytes in (
            (False, policy.budget_bytes_per_day),
            (True, policy.metered_budget_bytes_per_day),
        ):
            needed_bytes = regular_bytes(day(policy, metered))
            if budget_bytes and needed_bytes > budget_bytes:
                line = " on metered lines" if metered else ""
                yield (
                    f"{name}: in 24 hours a laptop would use {needed_bytes / 1e6:.0f} "
                    f"MB{line}, but {'metered_' * metered}budget_bytes_per_day allows "
                    f"{budget_bytes / 1e6:.0f} MB: it leaves rounds out"
                )


def _shared_ports(config: TowpathConfig) -> Iterator[str]:
    """Ports that two servers of one process would listen on."""
    ports = {"web.port": config.web.port, "metrics.port": config.metrics.port}
    if config.ingest.https is not None:
        ports["ingest.https.port"] = config.ingest.https.port
    if config.calls.notifications.url:
        ports["calls.notifications.port"] = config.calls.notifications.port
    used_by: dict[int, str] = {}
    for name, port in ports.items():
        if port and port in used_by:
            yield f"{name} is {port}, which is also {used_by[port]}"
        used_by.setdefault(port, name)


def _journal_hours(config: TowpathConfig, estate: Estate) -> str:
    """The journal's limit in hours of polling, at 50 ports a device."""
    polled = sum(device.poll for device in estate.devices)
    rows_a_s = polled * (50 + _MEASUREMENTS_A_DEVICE) / config.snmp.period_s
    if not rows_a_s:
        return f"journal: {config.journal.max_bytes >> 20} MiB"
    hours = config.journal.max_bytes / (rows_a_s * _JOURNAL_BYTES_A_ROW) / 3600
    return (
        f"journal: {config.journal.max_bytes >> 20} MiB hold about "
        f"{counted(round(hours), 'hour')} of polls of {counted(polled, 'device')} (50 "
        "ports each) if the store is down"
    )


def _folders(config: TowpathConfig) -> Iterator[tuple[str, Path, Path]]:
    """The folders that Towpath writes: (setting, its value, the nearest folder that
    exists)."""
    for name, folder in (
        ("state", config.state),
        ("journal.folder", config.journal.folder),
        ("store.folder", config.store.folder),
    ):
        yield name, folder, nearest_existing(folder)


def _folder_problems(config: TowpathConfig) -> Iterator[str]:
    for name, folder, existing in _folders(config):
        if not existing.is_dir():
            yield f"{name} is {folder}, but {existing} is not a folder"
            return


def _unwritable(config: TowpathConfig) -> Iterator[str]:
    """Only warnings, because another user than Towpath's may run `check`."""
    for name, folder, existing in _folders(config):
        if existing.is_dir() and not os.access(existing, os.W_OK | os.X_OK):
            yield f"{name} is {folder}, but this user may not write to {existing}"
            return


def _low_disk_space(config: TowpathConfig) -> Iterator[str]:
    if config.journal.kind != "files":
        return
    folder = nearest_existing(config.journal.folder)
    free = shutil.disk_usage(folder).free
    if free < config.journal.max_bytes:
        yield (
            f"journal.max_bytes is {config.journal.max_bytes >> 20} MiB, but "
            f"{folder} has only {free >> 20} MiB free"
        )
