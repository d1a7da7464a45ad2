"""The parts of uvicorn and websockets that our classes override or call although the
libraries do not document them. If a new release changes one, a test here names it."""

from __future__ import annotations

import asyncio
import inspect

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import DATA_OPCODES, Frame, Opcode


async def _no_app(scope: object, receive: object, send: object) -> None: ...


def http_protocol() -> HttpToolsProtocol:
    config = uvicorn.Config(_no_app, http=HttpToolsProtocol)
    config.load()
    return HttpToolsProtocol(config=config, server_state=ServerState(), app_state={})


@pytest.mark.parametrize(
    "name",
    [
        "_start_asgi_task",
        "_unset_keepalive_if_required",
        "connection_lost",
        "connection_made",
        "data_received",
        "on_header",
        "on_message_begin",
        "on_message_complete",
        "on_response_complete",
        "on_url",
        "pause_writing",
        "resume_writing",
        "timeout_keep_alive_handler",
    ],
)
def test_uvicorns_protocol_has_the_methods_that_ours_overrides_or_calls(
    name: str,
) -> None:
    assert callable(getattr(HttpToolsProtocol, name))


async def test_uvicorns_protocol_has_the_attributes_that_ours_reads_and_sets() -> None:
    closed = asyncio.get_running_loop().create_future()

    async def until_closed(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read()
        writer.close()
        closed.set_result(None)

    listening = await asyncio.start_server(until_closed, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        transport, protocol = await asyncio.get_running_loop().create_connection(
            http_protocol, "127.0.0.1", port
        )
        protocol.on_message_begin()
        for name in (
            "access_log",
            "access_logger",
            "app",
            "cycle",
            "expect_100_continue",
            "flow",
            "headers",
            "logger",
            "loop",
            "parser",
            "pipeline",
            "scope",
            "server_state",
            "transport",
            "url",
        ):
            assert hasattr(protocol, name), name
        assert hasattr(protocol.pipeline, "appendleft")
        assert hasattr(protocol.flow, "pause_reading")
        assert hasattr(protocol.flow, "resume_reading")
        assert isinstance(protocol.server_state.default_headers, list)
        transport.close()
        await closed


def test_uvicorns_cycle_is_made_from_these_parameters() -> None:
    parameters = set(inspect.signature(RequestResponseCycle).parameters)
    assert parameters == {
        "scope",
        "transport",
        "flow",
        "logger",
        "access_logger",
        "access_log",
        "default_headers",
        "message_event",
        "expect_100_continue",
        "keep_alive",
        "on_response",
    }
    source = inspect.getsource(RequestResponseCycle)
    for name in ("more_body", "keep_alive", "response_complete"):
        assert f"self.{name}" in source, name


async def test_websockets_gives_each_data_frame_to_process_event() -> None:
    frames: list[Frame] = []

    class Recorded(ServerConnection):
        def process_event(self, event: object) -> None:
            if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
                frames.append(event)
            else:
                super().process_event(event)  # type: ignore[arg-type]

    async def wait_closed(connection: ServerConnection) -> None:
        assert connection.transport.get_extra_info("socket") is not None
        assert connection.loop is asyncio.get_running_loop()
        await connection.wait_closed()

    async with serve(wait_closed, "127.0.0.1", 0, create_connection=Recorded) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}") as client:
            await client.send([b"two", b" fragments"])
            await client.send("text")
            assert server.handlers
    assert b"".join(f.data for f in frames if f.opcode is not Opcode.TEXT) == (
        b"two fragments"
    )
    assert [bytes(f.data) for f in frames if f.opcode is Opcode.TEXT] == [b"text"]
