"""One event is one line of the log, whatever is in it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from towpath.log_setup import LogConfig, configure

NAMES = (
    "x" * 300,
    "a\u202eb",
    "<script>",
    "=cmd()",
    "a\nlevel='error' event='forged'",
    "a\x00b\x1b[2J",
    "\u05d0\u05d1",
    "a\u200bb",
    "\ud800",
)


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


@pytest.mark.usefixtures("logging_as_before")
@pytest.mark.parametrize("kind", ["text", "json"])
def test_hostile_names_and_tracebacks_of_libraries_stay_on_their_line(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(LogConfig.model_validate({"format": kind}))
    for name in NAMES:
        structlog.wrap_logger(structlog.PrintLogger(sys.stderr)).warning("x", name=name)
        try:
            raise ValueError(name)
        except ValueError:
            logging.getLogger("library").exception("of %s", name)
    written = capsys.readouterr().err
    lines = written.splitlines()
    assert len(lines) == 2 * len(NAMES)
    assert not {"\u202e", "\u200b", "\x00", "\x1b"} & set(written)
    # What a library has to say of its fault is not lost.
    assert all("Traceback (most recent call last)" in line for line in lines[1::2])
    if kind == "json":
        assert [json.loads(line)["name"] for line in lines[::2]] == list(NAMES)
