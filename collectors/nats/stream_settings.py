"""The settings with which the stream of a log of the journal is made, and how those of
an existing stream differ from them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nats.js import api

_DAY_S = 86_400
# As in `collectors.personal_data`, which knows of more than the journal.
_PERSONAL_DAYS = 30.0
_DUPLICATES_S = 120.0
_NO_LIMIT = -1


class _Setting(NamedTuple):
    """`option`: of `nats stream edit`; empty if servers refuse the change."""

    wanted: str | int
    option: str
    why: str


def stream_config(
    name: str, subject: str, max_days: int, replicas: int
) -> api.StreamConfig:
    return api.StreamConfig(
        name=name,
        subjects=[subject],
        retention=api.RetentionPolicy.LIMITS,
        storage=api.StorageType.FILE,
        discard=api.DiscardPolicy.NEW,
        num_replicas=replicas,
        duplicate_window=_DUPLICATES_S,
        # The writer drops what is older, and counts it. If it no longer runs, the
        # servers do it: rows about one laptop are never kept for longer.
        max_age=_kept_days(max_days) * _DAY_S,
    )


def stream_differences(
    found: Mapping[str, Any], subject: str, max_days: int, replicas: int
) -> Iterator[str]:
    """One sentence for each setting that `stream_config` makes otherwise. `found`: the
    `config` of the answer to STREAM.INFO."""
    name = found["name"]
    for key, setting in _wanted(subject, max_days, replicas).items():
        value = _readable(key, found.get(key))
        if value == setting.wanted:
            continue
        remedy = f"nats stream edit {name} --{setting.option}"
        if not setting.option:
            remedy = (
                "servers do not change this: stop what writes to it, wait until its "
                f"readers have passed everything, then nats stream rm {name}"
            )
        yield (
            f"the stream {name} has {key} = {value}, expected {setting.wanted}: "
            f"{setting.why}; {remedy}"
        )


def replicas_sentence(name: str, found: int, wanted: int) -> str:
    """For a stream or bucket of which only the replicas are judged."""
    return (
        f"the stream {name} has num_replicas = {found}, expected {wanted}: "
        f"{_replicas(wanted).why}; nats stream edit {name} --{_replicas(wanted).option}"
    )


def _replicas(wanted: int) -> _Setting:
    return _Setting(wanted, f"replicas={wanted}", f"nats.replicas is {wanted}")


def _wanted(subject: str, max_days: int, replicas: int) -> dict[str, _Setting]:
    days = _kept_days(max_days)
    uncounted = "rows are dropped uncounted, read or not"
    refused = "rows are refused before journal.max_bytes is reached"
    return {
        "num_replicas": _replicas(replicas),
        "subjects": _Setting(
            subject,
            f"subjects={subject}",
            "it takes the rows of this log, and nothing else",
        ),
        "retention": _Setting("limits", "", uncounted),
        "storage": _Setting("file", "", "a restart of the servers loses everything"),
        "discard": _Setting("new", "discard=new", uncounted),
        "max_age": _Setting(
            f"{days * _DAY_S:.10g} s",
            f"max-age={days:g}d",
            f"journal.max_days is {max_days}, and results of laptops go after 30 days",
        ),
        "duplicate_window": _Setting(
            f"{_DUPLICATES_S:g} s",
            "dupe-window=2m",
            "rows sent again come twice",
        ),
        "max_msgs": _Setting(_NO_LIMIT, "max-msgs=-1", refused),
        "max_msgs_per_subject": _Setting(
            _NO_LIMIT, "max-msgs-per-subject=-1", uncounted
        ),
        "max_msg_size": _Setting(
            _NO_LIMIT, "max-msg-size=-1", "large rows are refused"
        ),
        "max_bytes": _Setting(_NO_LIMIT, "max-bytes=-1", refused),
        "max_consumers": _Setting(_NO_LIMIT, "", "readers are refused"),
        "no_ack": _Setting("no", "ack", "nothing is acknowledged, so appends fail"),
        "deny_purge": _Setting("no", "", "what has been read is never deleted"),
        "sealed": _Setting("no", "", "it takes no rows"),
    }


def _readable(key: str, value: Any) -> str | int:
    """The value as `_wanted` has it; what the answer leaves out has its default."""
    if key in ("duplicate_window", "max_age"):
        return f"{(value or 0) / 1e9:.10g} s"
    if key in ("no_ack", "deny_purge", "sealed"):
        return "yes" if value else "no"
    if key == "subjects":
        return ", ".join(value or ())
    if key == "num_replicas":
        return int(value or 1)
    if key.startswith("max_"):
        return int(value or _NO_LIMIT)
    return str(value)


def _kept_days(max_days: int) -> float:
    return min(max_days + 1.0, _PERSONAL_DAYS)
