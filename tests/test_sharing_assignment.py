"""Who polls which device, when several pollers share the estate."""

from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from collectors.sharing.bounded_assignment import SharedDevice, assign

_SITES = ("depot", "library", "town-hall")


class Near(msgspec.Struct, frozen=True):
    name: str
    near: tuple[str, ...] = ()


_DEVICES = st.lists(
    st.builds(
        SharedDevice,
        st.integers(0, 999).map("switch-{}".format),
        st.sampled_from(_SITES),
        st.sampled_from((0.1, 1.0, 4.0)),
    ),
    unique_by=lambda device: device.id,
    max_size=120,
)
_POLLERS = st.lists(
    st.builds(
        Near,
        st.sampled_from("abcdefghijklmnopqrst"),
        st.lists(st.sampled_from(_SITES), unique=True, max_size=2).map(tuple),
    ),
    unique_by=lambda poller: poller.name,
    min_size=1,
    max_size=20,
)


@given(_DEVICES, _POLLERS)
def test_every_device_has_one_poller_and_none_has_more_than_its_part(devices, pollers):
    holders = assign(devices, pollers)
    assert holders.keys() == {device.id for device in devices}
    load = Counter()
    for device in devices:
        load[holders[device.id]] += device.cost
    assert load.keys() <= {poller.name for poller in pollers}
    mean = sum(device.cost for device in devices) / len(pollers)
    largest = max((device.cost for device in devices), default=0)
    most = max(1.1 * mean, mean + largest)
    assert all(cost <= most * (1 + 1e-6) for cost in load.values())


@given(_DEVICES, _POLLERS, st.randoms())
def test_the_order_of_files_and_of_pollers_changes_nothing(devices, pollers, random):
    before = assign(devices, pollers)
    devices, pollers = list(devices), list(pollers)
    random.shuffle(devices)
    random.shuffle(pollers)
    assert assign(devices, pollers) == before


def _moved(before: dict[str, str], after: dict[str, str]) -> int:
    return sum(after[device] != holder for device, holder in before.items())


def test_few_devices_move_when_a_poller_joins_or_leaves():
    devices = [SharedDevice(f"switch-{n}", _SITES[n % 3]) for n in range(3000)]
    for count in (2, 3, 5, 8):
        fewer = [Near(f"poller-{n}") for n in range(count)]
        more = [*fewer, Near("poller-new")]
        with_fewer, with_more = assign(devices, fewer), assign(devices, more)
        moved = _moved(with_fewer, with_more)
        # What the new poller gets must move; others hardly.
        assert moved <= 1.1 * len(devices) / len(more), (count, moved)
        assert _moved(with_more, with_fewer) == moved


def test_a_poller_near_a_site_polls_its_devices_as_long_as_it_has_room():
    devices = [
        SharedDevice(f"switch-{n}", "depot" if n < 90 else "town-hall")
        for n in range(300)
    ]
    pollers = [Near("a"), Near("b"), Near("near-depot", ("depot",))]
    holders = assign(devices, pollers)
    assert all(holders[f"switch-{n}"] == "near-depot" for n in range(90))
    # Two thirds of all devices are more than its part: others help.
    crowded = [msgspec.structs.replace(d, site="depot") for d in devices[:200]]
    holders = assign(crowded + devices[200:], pollers)
    assert Counter(holders.values())["near-depot"] == 110


def test_without_pollers_nobody_polls():
    assert assign([SharedDevice("switch-1", "depot")], []) == {}
