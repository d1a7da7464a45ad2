"""`towpath rtp`: the calls in a capture, or on a mirrored port."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from towpath.commands.shared import (
    OptionalConfig,
    fail,
    read_config,
    read_estate,
    restrict_umask,
    usage_error,
)


def rtp(
    capture: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="pcap or pcapng, also .gz")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    interface: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="instead of a file: a mirrored port, headers only, until stopped",
        ),
    ] = "",
    config: OptionalConfig = None,
    gateway: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NETWORK",
            help="with --interface: an SBC or media gateway, so no person's telephone",
        ),
    ] = None,
    sip: Annotated[
        bool,
        typer.Option(
            "--sip",
            help="with --interface: read SIP, too, which has numbers and names",
        ),
    ] = False,
) -> None:
    """List the calls (RTP) of a capture with loss, jitter and estimated MOS, or count
    those on a mirrored port by subnet and minute."""
    if (capture is None) == (not interface):
        usage_error(["expected either FILE or --interface NAME"])
    if capture is None:
        _capture(interface, config, gateway or [], sip)
    else:
        _report(capture, json)


def _report(capture: Path, json: bool) -> None:
    import msgspec

    from collectors.rtp.capture_file import NotACapture
    from collectors.rtp.capture_report import report_capture
    from collectors.rtp.rtp_table import call_table, stream_table
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
    if report.streams:
        output_console().print(stream_table(report.streams))
    else:
        typer.echo(f"no RTP streams in {report.frames['all']:,} frames")
    if report.sip is not None:
        output_console().print(call_table(report.sip))


def _capture(
    interface: str, path: Path | None, gateways: list[str], with_sip: bool
) -> None:
    from collectors.estate import Estate
    from collectors.ip_networks import parse_network
    from towpath.log_setup import LogConfig, configure
    from towpath.run_rtp import CaptureFailed, capture_interface

    restrict_umask()
    networks = []
    for text in gateways:
        network = parse_network(text)
        if network is None:
            usage_error([f"--gateway {text!r}: expected an address or a network"])
        networks.append(network)
    settings, estate = None, Estate()
    if path is not None:
        settings = read_config(path)
        estate = read_estate(settings)
    configure(LogConfig() if settings is None else settings.log)
    try:
        capture_interface(interface, settings, estate, networks, with_sip)
    except CaptureFailed as error:
        fail(str(error))
