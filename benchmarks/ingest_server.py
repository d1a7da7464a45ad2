"""The server of the ingest benchmarks: `python -m benchmarks.ingest_server FOLDER
journal|null ours|h11`. Prints its port when it is ready."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from pathlib import Path

import uvicorn
import uvloop
from append_doubles import NullAppend

from collectors.estate.estate_model import Estate, Reflector
from collectors.ingest.https_ingest import HttpsIngest
from collectors.ingest.ingest_config import IngestConfig
from collectors.ingest.mqtt_ingest import MqttIngest
from collectors.ingest.registry import Registry
from collectors.journal import Append, Journal, JournalConfig
from collectors.server_measurements import CATALOGUE

ESTATE = Estate(reflectors=(Reflector(id="hq", host="hq.example"),))
_kept: list[asyncio.Task[None]] = []


async def serve(folder: Path, kind: str, http: str) -> None:
    config = IngestConfig.model_validate_json((folder / "ingest.json").read_text())
    async with contextlib.AsyncExitStack() as stack:
        append: Append = NullAppend()
        if kind == "journal":
            settings = JournalConfig(folder=folder / "journal")
            append = await stack.enter_async_context(
                Journal(settings, "ingest", CATALOGUE)
            )
        registry = stack.enter_context(Registry(config.registry))
        https = HttpsIngest(config, registry, append, estate=lambda: ESTATE)
        if http == "h11":
            port = await _serve_with_h11(config, https)
        else:
            await stack.enter_async_context(https)
            port = https.port
        if config.mqtt is not None:
            mqtt = MqttIngest(config, registry, append, estate=lambda: ESTATE)
            await stack.enter_async_context(mqtt)
        print(json.dumps({"port": port}), flush=True)
        await asyncio.Event().wait()


async def _serve_with_h11(config: IngestConfig, https: HttpsIngest) -> int:
    """Serves the same application with plain uvicorn and TLS; returns the port."""
    assert config.https is not None
    listening = socket.create_server(("127.0.0.1", 0))
    settings = uvicorn.Config(
        https.app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        ssl_certfile=str(config.https.certificate),
        ssl_keyfile=str(config.https.private_key),
    )
    _kept.append(asyncio.create_task(uvicorn.Server(settings).serve([listening])))
    return int(listening.getsockname()[1])


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
