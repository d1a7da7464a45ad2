"""The queries of the pages of devices and ports, and of the search. Pure."""

from __future__ import annotations

import re

from collectors.store.query import Pick, Query, Where
from dashboards.port_descriptions import descriptions_query
from dashboards.web.page_queries import (
    DAY_MS,
    FRESH_MS,
    HOUR_MS,
    NOW_MS,
    Wheres,
    inventory_now,
    of_device,
    ports_hour,
)

# Ports that have had no row for so long are no ports of the device.
KNOWN_MS = 30 * DAY_MS
# Neighbours are read every ten minutes, sensors every five.
NEIGHBOURS_MS = HOUR_MS
_RATES = ("in_bps", "out_bps")
_FAULTS = ("in_errors_per_s", "out_errors_per_s")
_DISCARDS = ("in_discards_per_s", "out_discards_per_s")


def latest_poll(to_ms: int, device: str) -> Query:
    names = (
        *("outcome", "duration_ms", "packets", "retries", "readable"),
        *("icmp_rtt_ms", "icmp_loss_ratio", "uptime_s"),
    )
    return Query(
        "device",
        tuple(Pick(name, "last") for name in names),
        to_ms - FRESH_MS,
        to_ms,
        of_device(device),
        ("device",),
    )


def answers(span: tuple[int, int], where: Wheres, step_ms: int) -> Query:
    """Whether devices answered in each step. Polls while Towpath itself was cut off do
    not count."""
    picks = (Pick("answered", "min"), Pick("answered", "max"))
    return Query("device", picks, *span, where, ("device",), step_ms)


def identity(to_ms: int, device: str) -> Query:
    return inventory_now(to_ms, of_device(device), "serial", "parts")


def ports(to_ms: int, device: str) -> Query:
    """The ports in the last hour, with their state and the device's own order."""
    return ports_hour(to_ms, of_device(device), "state", "if_index")


def ports_last_up(to_ms: int, device: str) -> Query:
    """On which days each port was up. `to_ms`: the end of a day, or now."""
    return Query(
        "interface",
        (Pick("up", "max"),),
        to_ms - KNOWN_MS,
        to_ms,
        of_device(device),
        ("port",),
        DAY_MS,
    )


def neighbours(to_ms: int, device: str) -> Query:
    names = ("protocol", "remote_name", "remote_port", "remote_port_descr")
    more = ("remote_chassis", "remote_address", "remote_device")
    return Query(
        "neighbour",
        tuple(Pick(name, "last") for name in (*names, *more)),
        to_ms - NEIGHBOURS_MS,
        to_ms,
        of_device(device),
        ("port", "heard"),
    )


def all_neighbours(to_ms: int) -> Query:
    """What is seen on the ports of all devices."""
    return Query(
        "neighbour",
        tuple(
            Pick(f"remote_{what}", "last") for what in ("name", "chassis", "address")
        ),
        to_ms - NEIGHBOURS_MS,
        to_ms,
        (),
        ("device", "port", "heard"),
    )


def chassis_now(to_ms: int) -> Query:
    """The chassis id of each device."""
    picks = (Pick("chassis", "last"),)
    return Query("identity", picks, to_ms - NEIGHBOURS_MS, to_ms, (), ("device",))


def loads(to_ms: int, device: str) -> tuple[Query, Query, Query]:
    """How full processors, memory and disks are."""

    def query(measurement: str, tag: str) -> Query:
        return Query(
            measurement,
            (Pick("use_ratio", "last"),),
            to_ms - FRESH_MS,
            to_ms,
            of_device(device),
            (tag,),
        )

    return (
        query("processor", "processor"),
        query("memory", "pool"),
        query("storage", "volume"),
    )


def port_traffic(span: tuple[int, int], device: str, port: str, step_ms: int) -> Query:
    """The 95th percentile of traffic in each step, and the mean of faults."""
    picks = (
        *(Pick(name, "p95") for name in _RATES),
        *(Pick(name, "mean") for name in (*_FAULTS, *_DISCARDS)),
    )
    return Query("interface", picks, *span, of_port(device, port), (), step_ms)


def port_sums(span: tuple[int, int], device: str, port: str) -> Query:
    """Figures of the whole range."""
    use = ("in_use_ratio", "out_use_ratio")
    picks = (
        *(Pick(name, how) for name in _RATES for how in ("mean", "p95", "max")),
        *(Pick(name, "max") for name in (*use, *_FAULTS, *_DISCARDS)),
        Pick("speed_bps", "last"),
    )
    return Query("interface", picks, *span, of_port(device, port))


def port_now(to_ms: int, device: str, port: str) -> Query:
    names = ("up", "state", "speed_bps", "expected_up", "expected_why", "admin")
    rates = ("in_bps", "out_bps", "in_use_ratio", "out_use_ratio")
    return Query(
        "interface",
        tuple(Pick(name, "last") for name in (*names, *rates, "oper")),
        to_ms - NOW_MS,
        to_ms,
        of_port(device, port),
        ("device", "port"),
    )


def port_known(to_ms: int, device: str, port: str) -> Query:
    """Whether the device has had such a port; its descriptions by day."""
    return descriptions_query(to_ms - KNOWN_MS, to_ms, DAY_MS, *of_port(device, port))


def of_port(device: str, port: str) -> Wheres:
    return (*of_device(device), Where("port", (port,)))


def ports_like(to_ms: int, text: str) -> tuple[Query, Query]:
    """Ports whose description or name has that text."""
    pattern = f"(?i){re.escape(text)}"

    def query(tag: str) -> Query:
        return Query(
            "interface",
            (Pick("state", "last"),),
            to_ms - NOW_MS,
            to_ms,
            (Where(tag, (), pattern=pattern),),
            ("device", "port", "description"),
        )

    return query("description"), query("port")
