"""The page about the API: its table is that of the code, and its examples work."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

from api_council import ALL, CouncilApi

from dashboards.web.api.api_page import BEGIN, END, operations_table
from dashboards.web.web_config import ApiConfig
from towpath.doc_pages import DOCS, described_routes

PAGE = (DOCS / "api.md").read_text(encoding="utf-8")


def test_the_table_of_operations_is_that_of_the_code() -> None:
    shown = PAGE.partition(BEGIN)[2].partition(END)[0]
    assert shown == operations_table(described_routes()), "run `make docs`"


async def test_each_example_is_answered(tmp_path: Path) -> None:
    """By curl, on a real socket, as the page shows it."""
    api = CouncilApi(tmp_path)
    examples = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 5
    with api.client() as client:
        [alert] = client.get("/alerts").json()["items"]
    page = api.page(port=0)
    async with page:
        for example in examples:
            command = example.replace("https://towpath.example.gov.uk", page.url)
            done = await run(command, TOKEN=api.secret, ALERT=alert["id"])
            assert done.returncode == 0, done.stderr
            assert re.match(r'\{"(items|id|sites|measurement)":', done.stdout), done
        with api.client() as client:
            devices = client.get("/devices").json()["items"]
        [program] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
        program = program.replace("https://towpath.example.gov.uk", page.url)
        done = await run(f"{sys.executable} -c '{program}'", TOKEN=api.secret)
        shown = [f"{one['site']} {one['id']} {one['state']}" for one in devices]
        # More than one page of the list.
        assert (done.stdout.splitlines(), len(shown) > 2) == (shown, True), done


async def run(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        ["sh", "-c", command.replace("curl ", "curl -sS --fail-with-body ")],
        env={**os.environ, **variables, "no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_scopes_of_the_page_are_those_of_the_code() -> None:
    table = PAGE.partition("| scope | allows |")[2].partition("\n\n")[0]
    shown = re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)
    used = {str(route.right) for route in described_routes() if route.right}
    assert set(shown) == used
    assert used < set(ALL)


def test_the_limits_of_the_page_are_the_defaults() -> None:
    defaults = ApiConfig()
    text = " ".join(PAGE.split())
    assert f"{defaults.requests_per_minute} requests a minute" in text
    without = defaults.requests_per_minute_without_token
    assert f"an address without a known token {without}" in text
