"""`towpath rtp`: the calls in a capture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from towpath.commands.shared import fail


def rtp(
    capture: Annotated[
        Path, typer.Argument(metavar="FILE", help="pcap or pcapng, also .gz")
    ],
    json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """List the RTP streams of a capture with loss, jitter, bursts and estimated MOS."""
    import msgspec

    from collectors.rtp.capture_file import NotACapture
    from collectors.rtp.capture_report import report_capture
    from collectors.rtp.rtp_table import stream_table
    from collectors.terminal_tables import output_console

    try:
        report = report_capture(capture)
    except NotACapture as error:
        fail(str(error))
    if json:
        typer.echo(msgspec.json.encode(report).decode())
        return
    for remark in report.remarks:
        typer.echo(remark, err=True)
    if not report.streams:
        typer.echo(f"no RTP streams in {report.frames['all']:,} frames")
        return
    output_console().print(stream_table(report.streams))
