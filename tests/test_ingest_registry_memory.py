"""What a process has of the registry in memory is what the file has, whoever wrote."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ingest_council import enrol, opened_registry

from collectors.ingest.registry import Registry
from collectors.ingest.registry_records import EnrolmentRefused
from probes.wire.clock import wall_ms
from probes.wire.report import AgentCredential, Enrolment

DEVICES, MACHINES = 4, ("", "number-1", "number-2")
_STEPS = st.tuples(
    st.sampled_from(["enrol", "renew", "confirm", "move", "revoke", "restore"]),
    st.integers(0, 1),
    st.integers(0, DEVICES - 1),
    st.sampled_from(MACHINES),
)


class _Laptops:
    """Laptops of two processes, with all secrets that they ever had."""

    def __init__(self, *registries: Registry) -> None:
        self._registries = registries
        self._token = registries[0].admin.make_token("hall", 1_000, 1, wall_ms())
        self.now: dict[int, AgentCredential] = {}
        self.secrets: set[tuple[str, str]] = set()

    def step(self, what: str, by: int, device: int, machine: str) -> None:
        registry, now_ms = self._registries[by], wall_ms()
        wish = Enrolment(self._token, f"laptop-{device}", machine=machine)
        laptop = self.now.get(device)
        try:
            if what == "enrol":
                self._keep(device, registry.identities.enrol(wish, now_ms))
            elif laptop is None:
                return
            elif what == "renew":
                new = registry.identities.renew(
                    laptop.agent, laptop.secret, machine, now_ms
                )
                self._keep(device, new)
            elif what == "confirm":
                registry.identities.confirm(laptop.agent, laptop.secret, now_ms)
            elif what == "move":
                registry.identities.move(
                    laptop.agent,
                    Enrolment("", f"copy-{device}", machine=machine),
                    now_ms,
                )
            else:
                getattr(registry.admin, what)(laptop.agent, now_ms, "someone")
        except EnrolmentRefused:
            pass

    def _keep(self, device: int, credential: AgentCredential) -> None:
        self.now[device] = credential
        self.secrets.add((credential.agent, credential.secret))

    def known_to(self, registry: Registry) -> object:
        now_ms = wall_ms()
        return (
            {a.agent: registry.enrolled(a.agent) for a in registry.agents()},
            {s: registry.verify(*s) is not None for s in self.secrets},
            {s: registry.is_retired(*s, now_ms) for s in self.secrets},
            registry.refusal_reason(Enrolment(self._token, "new"), now_ms),
        )


@settings(max_examples=8, deadline=None)
@example([("enrol", 0, n, "number-1") for n in (0, 1)])
@example([("enrol", 0, 0, ""), ("renew", 1, 0, ""), ("confirm", 1, 0, "")])
@given(st.lists(_STEPS, min_size=1, max_size=12))
def test_a_process_knows_what_one_that_opens_the_registry_now_knows(
    steps: list[tuple[str, int, int, str]],
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        opened_registry(Path(folder)) as one,
        opened_registry(Path(folder)) as two,
    ):
        laptops = _Laptops(one, two)
        for what, by, device, machine in steps:
            laptops.step(what, by, device, machine)
            one.refresh()
            two.refresh()
        with opened_registry(Path(folder)) as fresh:
            expected = laptops.known_to(fresh)
            assert laptops.known_to(one) == expected
            assert laptops.known_to(two) == expected


def test_an_enrolment_reads_one_laptop_and_not_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened_registry(tmp_path) as registry:
        enrol(registry, "laptop-1")
        token = registry.admin.make_token("hall", 9, 1, wall_ms())
        monkeypatch.delattr(Registry, "_read_all")
        for n in range(2, 5):
            wish = Enrolment(token, f"laptop-{n}")
            laptop = registry.identities.enrol(wish, wall_ms())
            assert registry.verify(laptop.agent, laptop.secret) is not None
