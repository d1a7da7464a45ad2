"""The made-up council with names and texts that try to turn text round, to hide, to
cover what is beside them, and to widen pages."""

from __future__ import annotations

import itertools
from typing import Any

import council
import msgspec
import test_web_rooms
from council_page import DOWN, NOW_MS
from store_doubles import AlertList, MemoryStore

from alerts.alert import Alert
from alerts.silence import Silence
from collectors.estate import Estate
from collectors.estate.estate_model import Team
from probes.wire.sample import Sample

TURNED = "\u202egnp.exe\u200b\x1b[31m"
EVILS = (
    f"-{TURNED}" + "W" * 280,
    f" {TURNED} o" + "\u0335\u0489\u20e0" * 100,
    f" {TURNED} \u05d0\u05d1\u05d2 42 " + "\u0634\u0628\u0643\u0629" * 60,
)
_TEXTS = ("text", "event_text", "stream_text", "why", "reading", "sys_descr")
_NAMES = ("name", "description", "alias", "remote_port", "neighbour", "software")


class _Evil:
    """Another ending each time."""

    def __init__(self) -> None:
        self._endings = itertools.cycle(EVILS)

    def __call__(self, text: str | None) -> str:
        return f"{text or 'x'}{next(self._endings)}"


def hostile_estate() -> Estate:
    evil, made = _Evil(), council.estate()

    def changed(part: Any, *names: str) -> Any:
        return part.model_copy(update={n: evil(getattr(part, n)) for n in names})

    return made.model_copy(
        update={
            "sites": tuple(changed(s, "name", "district", "kind") for s in made.sites),
            "devices": tuple(changed(d, "name") for d in made.devices),
            "lines": tuple(
                changed(line, "supplier", "circuit_ref", "support_hours")
                for line in made.lines
            ),
            "rooms": (changed(test_web_rooms.ROOM, "name"),),
            "teams": (changed(Team(id="contact-centre"), "name"),),
        }
    )


def hostile_alerts() -> AlertList:
    evil = _Evil()
    names = ("summary", "cause", "runbook", "acknowledged_by", "acknowledged_why")

    def changed(alert: Alert) -> Alert:
        texts = {name: evil(getattr(alert, name)) for name in names}
        return msgspec.structs.replace(alert, **texts)

    silence = Silence(
        1, NOW_MS - 1, NOW_MS + 1000, why=evil("work"), who=evil("Ada"), site="depot"
    )
    return AlertList([changed(a) for a in council.alerts(NOW_MS)], silences=[silence])


def hostile_store() -> MemoryStore:
    evil = _Evil()

    def changed(sample: Sample) -> Sample:
        texts = {
            name: evil(value)
            for name, value in sample.fields.items()
            if isinstance(value, str) and name in (*_TEXTS, *_NAMES)
        }
        fields = {**sample.fields, **texts}
        return msgspec.structs.replace(sample, fields=fields)

    rows = council.samples(NOW_MS - council.HOUR_MS, NOW_MS, down=DOWN)
    rooms = test_web_rooms.rows({50: 0, 5: 3, 2: 3, 1: 3}, 10)
    return MemoryStore([changed(sample) for sample in [*rows, *rooms]])
