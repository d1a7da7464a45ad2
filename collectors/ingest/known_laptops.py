"""What the front of ingest needs to know of laptops: from the registry inside, or on an
DMZ node from what the inside publishes."""

from __future__ import annotations

from typing import Protocol

from collectors.ingest.registry_records import EnrolledAgent
from probes.wire.report import AgentCredential, Enrolment
from probes.wire.support_code import SupportCode


class KnownLaptops(Protocol):
    """See `Registry`. All but `follow` use memory only."""

    @property
    def problem(self) -> str: ...

    def verify(self, agent: str, secret: str) -> EnrolledAgent | None: ...

    def is_retired(self, agent: str, secret: str, now_ms: int) -> bool: ...

    def mark_seen(self, agent: str, now_ms: int) -> None: ...

    def mark_measured(self, agent: str, time_ms: int, software: str = "") -> None: ...

    def mark_policy(self, agent: str, version: str) -> None: ...

    async def follow(self) -> None: ...


class IdentityService(Protocol):
    """See `EnrolmentService`."""

    async def enrol(
        self, enrolment: Enrolment, address: str, now_ms: int
    ) -> AgentCredential: ...

    async def move(
        self, original: str, secret: str, enrolment: Enrolment, now_ms: int
    ) -> AgentCredential: ...

    async def renew(
        self, agent: str, secret: str, machine: str, now_ms: int
    ) -> AgentCredential: ...

    async def confirm(self, agent: str, secret: str, now_ms: int) -> None: ...


class CodeService(Protocol):
    """Support codes of a laptop that has signed in with `secret`. See
    `SupportCodes`."""

    async def make(self, agent: str, secret: str) -> SupportCode: ...

    async def of_laptop(self, agent: str, secret: str) -> SupportCode: ...
