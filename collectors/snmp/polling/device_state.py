"""What is remembered of devices over a restart: one small JSON file for all of them,
and beside it a file for each with its ports (`learnt_ports`).

Losing them costs some packets and a round of neighbours, never a wrong number.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

import msgspec
import structlog

from collectors.snmp.session.agent_limits import AgentLimits
from collectors.snmp.session.answer_time import AnswerTime
from probes.wire.atomic_file import replace_file

_log = structlog.get_logger()


class DeviceState(msgspec.Struct):
    """What is remembered of one device.

    `credential` is the name of the one that worked last; `neighbours` has, by port key,
    when a neighbour was last seen, in ms.
    """

    # State files have it as "stamina".
    limits: AgentLimits = msgspec.field(default_factory=AgentLimits, name="stamina")
    answer_time: AnswerTime = msgspec.field(default_factory=AnswerTime)
    credential: str = ""
    neighbours: dict[str, int] = {}


class DeviceStates:
    """The `DeviceState` of each device by its id; read once, written whole.

    If it does not keep ports, it removes those that were kept before.
    """

    def __init__(self, file: Path | None, keeps_ports: bool = True) -> None:
        self._file, self._keeps_ports = file, keeps_ports
        self._by_device: dict[str, DeviceState] = {}
        if file is None:
            return
        try:
            raw = file.read_bytes()
            self._by_device = msgspec.json.decode(raw, type=dict[str, DeviceState])
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            _log.warning("snmp_state_not_read", file=str(file), error=str(error))
        if not keeps_ports:
            for ports in _ports_folder(file).glob("*.bin"):
                _remove_file(ports)

    def get(self, device: str) -> DeviceState:
        """The state of a device; a new one if there is none yet."""
        return self._by_device.setdefault(device, DeviceState())

    def put(self, device: str, state: DeviceState) -> None:
        """Replaces what is remembered, before the device is polled first."""
        self._by_device[device] = state

    def ports_mark(self, device: str) -> object:
        """Differs if the file of its ports was written again."""
        file = self.ports_file(device)
        try:
            status = None if file is None else file.stat()
        except OSError:
            return None
        return None if status is None else (status.st_mtime_ns, status.st_size)

    def ports_file(self, device: str) -> Path | None:
        """Where the ports of a device are kept; None if nothing is."""
        if self._file is None or not self._keeps_ports:
            return None
        return _ports_folder(self._file) / f"{device}.bin"

    def keep_only(self, devices: Collection[str]) -> None:
        """Forgets all others, also those that were removed while Towpath was not
        running."""
        for device in [id for id in self._by_device if id not in devices]:
            self.remove(device)

    def remove(self, device: str) -> None:
        self._by_device.pop(device, None)
        if (ports := self.ports_file(device)) is not None:
            _remove_file(ports)

    def save(self) -> None:
        """Replaces the file in one step: a crash leaves the old file or the new one."""
        if self._file is None:
            return
        try:
            body = msgspec.json.encode(self._by_device)
            replace_file(self._file, body, durable=False)
        except OSError as error:
            _log.warning("snmp_state_not_kept", file=str(self._file), error=str(error))


def _ports_folder(file: Path) -> Path:
    return file.with_name(f"{file.stem}-ports")


def _remove_file(file: Path) -> None:
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)
