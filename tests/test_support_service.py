"""A support code from an agent that runs as a service: the person's command hands in a
request, and the service asks the council's real server."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ingest_council import door, enrol
from test_agent_loop import Counting, Taking
from waiting import until

from collectors.support_codes import SupportCodes, support_codes_file
from probes.agent.agent import Agent
from probes.agent.agent_parts import AgentIdentity, AgentTiming, ServerLink
from probes.agent.clock_changes import Clocks
from probes.agent.laptop_requests import LaptopRequest, hand_in, open_to_people
from probes.agent.laptop_support import LaptopSupport
from probes.agent.place import KnownPlaces, Locator
from probes.agent.publish_https import HttpsPublisher
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import Settings, SpoolLimits
from probes.agent.spool import Spool
from probes.diagnosis.agent_status import read_status, status_lines
from probes.wire.clock import wall_ms
from probes.wire.support_code import shown_code, typed_code


class Wakes(asyncio.Event):
    """Counts how often the agent is woken."""

    count = 0

    def set(self) -> None:
        self.count += 1
        super().set()


async def test_a_service_gets_a_code_and_its_status_shows_who_looked(
    tmp_path: Path,
) -> None:
    state, shared = tmp_path / "state", tmp_path / "shared"
    state.mkdir()
    open_to_people(shared)
    async with door(tmp_path) as council:
        who = enrol(council.registry, "LAPTOP-1")
        url = f"https://localhost:{council.ingest.port}"
        authority = str(council.certificates.authority)
        settings = Settings(
            server=url, state_folder=str(state), shared_folder=str(shared)
        )
        connection = ServerConnection(url, who, authority, "test")
        with Spool(state, SpoolLimits(), wall_ms) as spool:
            agent = Agent(
                AgentIdentity(settings, who, "test"),
                spool,
                ServerLink(
                    Taking(),
                    HttpsPublisher(connection),
                    support=LaptopSupport(state, connection, wall_ms),
                ),
                timing=AgentTiming(soon_ms=100, tick_s=0.05),
                rounds=Counting(Clocks()),
                locator=Locator(KnownPlaces(state, b"key"), gather=list),
            )

            def is_policy_known() -> bool:
                status = read_status(settings.shown_folder())
                return status is not None and status.policy_ms > 0

            stop, wakes = asyncio.Event(), Wakes()
            running = asyncio.create_task(agent.run(stop, wakes))
            # A policy that is fetched for nobody in particular wakes nothing.
            await until(is_policy_known)
            assert wakes.count == 0
            answer = await asyncio.to_thread(
                hand_in, shared, LaptopRequest("support-code"), 20.0
            )
            assert answer.done, answer.text
            assert wakes.count == 1
            code = typed_code(answer.text.partition("code is ")[2][:9])
            assert shown_code(code) in answer.text
            # Another one is another request, and ends the first.
            again = await asyncio.to_thread(
                hand_in, shared, LaptopRequest("support-code"), 20.0
            )
            second = typed_code(again.text.partition("code is ")[2][:9])
            assert second not in ("", code)
            desk = SupportCodes(support_codes_file(tmp_path / "agents.sqlite"), wall_ms)
            desk.open(second, "council:grace", "Grace Hopper")
            third = await asyncio.to_thread(
                hand_in, shared, LaptopRequest("support-code"), 20.0
            )
            assert "Grace Hopper looked at what this laptop had measured" in third.text
            shown = settings.shown_folder()

            def lines() -> str:
                return "\n".join(status_lines(read_status(shown), wall_ms()))

            await until(lambda: "Grace Hopper looked" in lines())
            assert "Your support code is" in lines()
            stop.set()
            await asyncio.wait_for(running, 10)
