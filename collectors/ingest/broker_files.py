"""`BrokerFiles`: writes the password file and the ACL of a mosquitto broker.

The password file has one line per agent (format: `mosquitto_hash`). The ACL ties what
an agent may publish and read to its user name, so it is the same whoever is enrolled
(mosquitto.conf(5), `acl_file`, `pattern`). Revoked agents lose their line, and the
broker closes their connections when it reloads the files (SIGHUP).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path

import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.failure_log import FailureLog
from collectors.ingest.broker_client import Login, check_login
from collectors.ingest.ingest_config import BrokerConfig, MqttConfig
from collectors.ingest.mosquitto_hash import mosquitto_hash
from collectors.ingest.registry import Registry
from probes.wire.atomic_file import PRIVATE, replace_file
from probes.wire.report import ACKS_TOPIC, MAX_BODY_BYTES, REPORTS_TOPIC

# May log in, but neither read nor write: see `BrokerFiles`.
CHECK_USER = "towpath-check"
# The longest that an enrolling laptop waits for the broker.
WAIT_S = 10.0
_CHECK_AFTER_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_REFUSALS_LOGGED = 3

_log = structlog.get_logger()


def password_text(users: Iterable[tuple[str, str]]) -> str:
    """The password file of (user, hash) pairs."""
    return "".join(f"{user}:{stored}\n" for user, stored in users)


def acl_text(own_users: Iterable[str]) -> str:
    """The ACL: the server's users read all reports and write all receipts; an agent
    only writes its own reports and reads its own receipts."""
    own = "".join(
        f"user {user}\ntopic read {REPORTS_TOPIC}/+\ntopic write {ACKS_TOPIC}/+\n\n"
        for user in own_users
    )
    return (
        "# Written by Towpath: changes here are lost.\n"
        f"{own}"
        f"pattern write {REPORTS_TOPIC}/%u\n"
        f"pattern read {ACKS_TOPIC}/%u\n"
    )


def mosquitto_text(config: BrokerConfig) -> str:
    """The lines that mosquitto.conf needs, apart from its listener.

    A client's id is its user name: otherwise one agent could take over another's
    session by using the same id.
    """
    return (
        "allow_anonymous false\n"
        f"password_file {config.password_file}\n"
        f"acl_file {config.acl_file}\n"
        "use_username_as_clientid true\n"
        f"message_size_limit {MAX_BODY_BYTES}\n"
        "max_inflight_messages 200\n"
        "max_queued_messages 20000\n"
        "persistent_client_expiration 30d\n"
        "retain_available false\n"
        + (f"pid_file {config.pid_file}\n" if config.pid_file is not None else "")
    )


class BrokerFiles:
    """`async with BrokerFiles(config, mqtt, registry):` writes both files whenever the
    registry changes, and checks that the broker has loaded them.

    mosquitto reads its files when it starts and on SIGHUP. A SIGHUP that arrives during
    a reload is lost, and one that arrives before its handler is installed ends the
    broker. So each written file holds a user `towpath-check` with a new password: the
    broker has loaded the file when it accepts that user, and it is only signalled when
    it answers and refuses it. See docs/decisions/024-enrolment-waits-for-the-broker.md.
    """

    def __init__(
        self, config: BrokerConfig, mqtt: MqttConfig, registry: Registry
    ) -> None:
        self._config, self._mqtt, self._registry = config, mqtt, registry
        self._written = self._loaded = -1
        self._check_password = ""
        self._own: tuple[str, str] | None = None
        self._away = False
        self._write_failures = FailureLog("broker_files_not_written")
        self._refusals = 0
        self._wanted = asyncio.Event()
        self._changed = asyncio.Condition()
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> BrokerFiles:
        await asyncio.to_thread(self.write)
        self._tasks.start(self._follow(), "broker-files")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    async def wait_loaded(self, seconds: float = WAIT_S) -> bool:
        """Waits until the broker knows every agent that is enrolled now.

        Waits `seconds` at most, and not at all while the broker is away. Returns
        whether the broker knows them.
        """
        generation = self._registry.generation
        self._wanted.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(
                    lambda: self._loaded >= generation or self._away
                )
        return self._loaded >= generation

    def write(self) -> bool:
        """Writes the files if they differ from the registry (blocking). True if it
        wrote."""
        config = self._config
        self._registry.refresh()
        generation = self._registry.generation
        there = config.password_file.exists() and config.acl_file.exists()
        if there and generation == self._written:
            return False
        self._check_password = secrets.token_urlsafe(32)
        users = [
            *self._own_user(),
            (CHECK_USER, mosquitto_hash(self._check_password)),
            *self._registry.broker_users(),
        ]
        # For the owner and the folder's group, which is the broker's.
        _write(config.password_file, password_text(users), 0o640)
        _write(config.acl_file, acl_text(self._own_names()), 0o640)
        self._written, self._loaded = generation, -1
        return True

    async def load(self) -> bool:
        """Writes the files if needed and makes the broker load them. True if it did."""
        await asyncio.to_thread(self.write)
        generation = self._written
        if self._loaded == generation:
            return True
        login = await self._check()
        if login is Login.REFUSED:
            if self._refusals:
                # A systemd path unit that missed one change sees the next one.
                self._written = -1
                await asyncio.to_thread(self.write)
                generation = self._written
            self._reload()
            for pause_s in _CHECK_AFTER_S:
                await asyncio.sleep(pause_s)
                login = await self._check()
                if login is not Login.REFUSED:
                    break
        self._note(login, generation)
        async with self._changed:
            self._changed.notify_all()
        return login is Login.ACCEPTED

    async def _check(self) -> Login:
        return await check_login(self._mqtt, CHECK_USER, self._check_password)

    def _note(self, login: Login, generation: int) -> None:
        self._away = login is Login.AWAY
        if login is Login.ACCEPTED:
            self._loaded = generation
            if self._refusals >= _REFUSALS_LOGGED:
                _log.info("broker_users_loaded_again")
            self._refusals = 0
        elif login is Login.REFUSED:
            self._refusals += 1
            if self._refusals == _REFUSALS_LOGGED:
                _log.warning(
                    # It needs this password_file in its settings, and a reload when it
                    # changes.
                    "broker_users_not_loaded",
                    password_file=str(self._config.password_file),
                    pid_file=str(self._config.pid_file or "not set"),
                )

    async def _follow(self) -> None:
        load_at_s = 0.0
        while True:
            self._wanted.clear()
            try:
                wrote = await asyncio.to_thread(self.write)
                if wrote or time.monotonic() >= load_at_s:
                    await self.load()
                    # A broker that refuses is checked less and less often.
                    slower = 2 ** min(self._refusals, 5) - 1
                    load_at_s = time.monotonic() + self._config.every_s * slower
            except (OSError, sqlite3.Error) as error:
                self._write_failures.failed(error)
            else:
                self._write_failures.recovered()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.every_s):
                    await self._wanted.wait()

    def _own_user(self) -> list[tuple[str, str]]:
        path = self._mqtt.password_file
        if path is None:
            return []
        if not path.exists():
            # Only this server uses it, so nobody has to choose one.
            _write(path, secrets.token_urlsafe(32) + "\n", PRIVATE)
        password = path.read_text(encoding="utf-8").strip()
        if self._own is None or self._own[0] != password:
            self._own = (password, mosquitto_hash(password))
        return [(name, self._own[1]) for name in self._own_names()]

    def _own_names(self) -> tuple[str, ...]:
        return (self._mqtt.username, *self._config.more_users)

    def _reload(self) -> None:
        path = self._config.pid_file
        if path is None:
            return
        try:
            pid = int(path.read_text(encoding="ascii").strip())
            if not _is_mosquitto(pid):
                raise ProcessLookupError(f"process {pid} is not mosquitto")
            os.kill(pid, signal.SIGHUP)
        except (OSError, ValueError) as error:
            # Whether the broker has loaded the files is checked, not assumed.
            _log.debug("broker_not_signalled", error=str(error))


def _is_mosquitto(pid: int) -> bool:
    """Whether that process is mosquitto, and not another program with its old number.
    True if it cannot be known (no /proc)."""
    if not Path("/proc/self/comm").exists():
        return True
    return Path(f"/proc/{pid}/comm").read_text().strip() == "mosquitto"


def _write(path: Path, text: str, mode: int) -> None:
    """For the commands, too, which write the files while the server runs."""
    replace_file(path, text.encode(), durable=True, mode=mode, concurrent=True)
