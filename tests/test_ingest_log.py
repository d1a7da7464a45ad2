"""What ingest and reflector log names no laptop: logs are kept longer, by others."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path

import msgspec
import pytest
import structlog.testing
from ingest_council import body, door, report, wall_ms

from collectors.reflector import ReflectorConfig, ReflectorService
from probes.wire.report import AgentCredential, Enrolment


async def test_neither_address_nor_pseudonym_is_logged_by_ingest_or_reflector(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = ["127.0.0.1", "LAPTOP-1"]
    settings = ReflectorConfig(addresses=("127.0.0.1",), stamp_port=0, web_port=0)
    caplog.set_level(logging.INFO)
    with structlog.testing.capture_logs() as events:
        await _come_and_go(tmp_path, settings, names)
    # The test's own client logs where it goes.
    others = [r.getMessage() for r in caplog.records if r.name != "httpx2"]
    text = f"{events} {others}"
    assert "agent_enrolled" in text
    assert "reports_not_durable" in text
    assert [name for name in names if name in text] == []


async def _come_and_go(
    folder: Path, settings: ReflectorConfig, names: list[str]
) -> None:
    """Laptops and others do all that is logged; adds to `names` what must not be."""
    async with door(folder) as council, ReflectorService(settings) as reflector:
        token = council.registry.admin.make_token("depot", 5, 1, wall_ms())
        names.append(token)
        for _ in range(2):
            enrolment = msgspec.json.encode(Enrolment(token, "LAPTOP-1"))
            answer = await council.client.post("/v1/enrol", content=enrolment)
            who = msgspec.json.decode(answer.content, type=AgentCredential)
        names += [who.agent, who.secret]
        council.append.fault = OSError(28, "No space left on device")
        await council.send(who, body(report(who.agent, "r1")))
        council.append.fault = None
        for content in (body(report(who.agent, "r1")), b"poison", b"[17]"):
            await council.send(who, content)
        await council.send(AgentCredential("somebody", "else"), b"[]")
        ports = (council.ingest.port, reflector.web_port)
        for port in ports:
            for first in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"):
                with socket.create_connection(("127.0.0.1", port)) as rude:
                    rude.sendall(first)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
            datagram.sendto(b"junk", ("127.0.0.1", reflector.stamp_port))
        await asyncio.sleep(0.1)
