"""`towpath fleet stop-key | stop | resume | stops | order`: the signed stop switch."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probes.wire.clock import wall_ms
from probes.wire.display import displayable, shortened
from towpath.commands.fleet_registry import minute_text, need_ring
from towpath.commands.shared import (
    ConfigFile,
    OptionalConfig,
    ensure_folder,
    fail,
    read_config,
    usage_error,
    user_name,
)
from towpath.error_sentences import sentence_of

if TYPE_CHECKING:
    from collectors.ingest.ingest_config import IngestConfig, PolicyConfig
    from collectors.ingest.stop_key import StopKey
    from collectors.ingest.stop_order_file import KnownOrder, StopWish
    from probes.wire.stop_order import StopOrder

KeyFile = Annotated[
    Path, typer.Option("--key", metavar="FILE", help="the private key's file")
]
Ring = Annotated[str, typer.Option(help="only laptops of this ring")]
Probes = Annotated[
    list[str] | None,
    typer.Option("--probe", metavar="PROBE", help="only this probe; repeatable"),
]
Why = Annotated[
    str, typer.Option(help="why, for the person at the laptop: at most 200 characters")
]
ToFile = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="FILE",
        help="write the order there, for fleet order on the server; - prints it",
    ),
]


def add_commands(app: typer.Typer) -> None:
    """Adds these commands to `towpath fleet`."""
    app.command("stop-key")(make_key)
    app.command()(stop)
    app.command()(resume)
    app.command()(stops)
    app.command()(order)


def make_key(
    to: Annotated[Path, typer.Argument(metavar="FILE", help="a new file for the key")],
    replaces: Annotated[
        Path | None,
        typer.Option(
            metavar="OLD", help="the key in use: laptops then change to the new one"
        ),
    ] = None,
    config: OptionalConfig = None,
) -> None:
    """Make the key that signs orders to stop. Keep its file off the server."""
    from collectors.ingest.stop_key import KeyUnusable, make_stop_key, read_stop_key
    from collectors.ingest.stop_order_file import read_orders, resigned, write_lines

    old: StopKey | None = None
    ingest: IngestConfig | None = None
    if replaces is not None:
        if config is None:
            usage_error(["--replaces also needs --config"])
        ingest = read_config(config).ingest
        try:
            old = read_stop_key(replaces)
        except KeyUnusable as error:
            fail(str(error))
        _check_key(old, ingest.policy)
    try:
        key = make_stop_key(to)
    except FileExistsError:
        fail(f"{to} exists already: a key is never overwritten")
    except OSError as error:
        fail(f"the key cannot be saved: {sentence_of(error)}")
    if old is not None and ingest is not None:
        path = ensure_folder(ingest.registry.stop_orders, "ingest.registry.path")
        try:
            known = read_orders(path, [old.public])
            write_lines(path, resigned(known, old, key, wall_ms()))
        except (OSError, ValueError) as error:
            # Root may have become the owner of the state, who cannot remove it.
            with contextlib.suppress(OSError):
                to.unlink(missing_ok=True)
            fail(f"the key was not changed: {error}")
        _note(ingest, "stop key replaced", key.public[:12])
    typer.echo(f"{to} has the private key: keep it and a copy of it off the server.")
    typer.echo("Write this into towpath.toml and restart ingest:")
    typer.echo(f'[ingest.policy]\nstop_key = "{key.public}"')


def stop(
    key: KeyFile,
    why: Why,
    config: OptionalConfig = None,
    ring: Ring = "",
    probe: Probes = None,
    days: Annotated[
        float, typer.Option(min=0.001, help="how long at the most: 90 days")
    ] = 90,
    to: ToFile = None,
) -> None:
    """Stop what laptops measure. It acts within 15 minutes, without the server too."""
    from collectors.ingest.stop_order_file import StopWish

    if not why.strip():
        usage_error(["--why is empty, and the person at the laptop is told why"])
    if displayable(why) != why:
        usage_error(["--why has characters that cannot be seen, expected plain text"])
    wish = StopWish("stop", ring, _probe_names(probe), days, why)
    _give(wish, key, config, to)


def resume(
    key: KeyFile,
    config: OptionalConfig = None,
    ring: Ring = "",
    probe: Probes = None,
    to: ToFile = None,
) -> None:
    """End stops: all, or those of one ring or of some probes."""
    from collectors.ingest.stop_order_file import StopWish

    _give(StopWish("resume", ring, _probe_names(probe)), key, config, to)


def order(
    config: ConfigFile,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="a signed order; - reads it")
    ],
) -> None:
    """Give laptops an order that was signed elsewhere (stop --to FILE)."""
    import sys

    try:
        if str(file) == "-":
            text = sys.stdin.read(10_000)
        else:
            with file.open(encoding="utf-8") as opened:
                text = opened.read(10_000)
    except (OSError, UnicodeDecodeError) as error:
        fail(f"the order cannot be read: {error}")
    ingest = read_config(config).ingest
    _need_key(ingest.policy)
    _add(ingest, text.strip())
    typer.echo("The order is given: laptops obey it within 15 minutes.")


def stops(config: ConfigFile) -> None:
    """List the orders that laptops are given, and those that do nothing."""
    from collectors.ingest.stop_order_file import read_orders

    ingest = read_config(config).ingest
    path = ingest.registry.stop_orders
    try:
        known = read_orders(path, [ingest.policy.stop_key])
    except OSError as error:
        fail(f"the orders cannot be read: {sentence_of(error)}")
    if not known:
        typer.echo("nothing is stopped")
    for entry in known:
        typer.echo(_line_text(entry, wall_ms(), ingest.policy))


def _give(wish: StopWish, key_file: Path, config: Path | None, to: Path | None) -> None:
    from collectors.ingest.registry_reader import RegistryUnreadable, read_agents
    from collectors.ingest.stop_key import KeyUnusable, read_stop_key
    from collectors.ingest.stop_order_file import (
        OrderRefused,
        make_order,
        read_orders,
    )
    from probes.wire.atomic_file import replace_file

    try:
        key = read_stop_key(key_file)
    except KeyUnusable as error:
        fail(str(error))
    ingest: IngestConfig | None = None
    known: list[KnownOrder] = []
    if config is not None:
        ingest = read_config(config).ingest
        _check_key(key, ingest.policy)
        if wish.ring:
            try:
                agents = read_agents(ingest.registry.path)
            except RegistryUnreadable as error:
                fail(str(error))
            need_ring(wish.ring, ingest.policy, agents)
        try:
            known = read_orders(ingest.registry.stop_orders, [key.public])
        except OSError as error:
            fail(f"the orders cannot be read: {sentence_of(error)}")
    elif to is None:
        usage_error(["expected --config, or --to if the order is signed elsewhere"])
    try:
        order = make_order(wish, known, wall_ms())
        line = key.sign(order)
    except (OrderRefused, ValueError) as error:
        usage_error([str(error)])
    if to is not None and str(to) == "-":
        typer.echo(line)
    elif to is not None:
        try:
            replace_file(to, f"{line}\n".encode(), durable=True)
        except OSError as error:
            fail(f"the order cannot be saved: {sentence_of(error)}")
        typer.echo(f"{to} has the order: towpath fleet order {to.name} on the server.")
    elif ingest is not None:
        _add(ingest, line)
        typer.echo(f"{_words(order)}: laptops obey within 15 minutes.")


def _add(ingest: IngestConfig, line: str) -> None:
    from collectors.ingest.stop_order_file import OrderRefused, add_line
    from probes.wire.stop_order import read_unverified

    path = ensure_folder(ingest.registry.stop_orders, "ingest.registry.path")
    try:
        add_line(path, line, [ingest.policy.stop_key], wall_ms())
    except OrderRefused as error:
        fail(str(error))
    except OSError as error:
        fail(f"the order cannot be saved: {sentence_of(error)}")
    _note(ingest, "order given", _words(read_unverified(line)))


def _note(ingest: IngestConfig, what: str, subject: str) -> None:
    """Notes in the audit what was done. A stop counts even if that fails."""
    import sqlite3

    from collectors.ingest import Registry

    try:
        with Registry(ingest.registry) as registry:
            registry.admin.note_order(what, subject, wall_ms(), user_name())
    except (OSError, RuntimeError, ValueError, sqlite3.Error) as error:
        typer.echo(f"this is not in the audit: {error}", err=True)


def _need_key(policy: PolicyConfig) -> None:
    if not policy.stop_key:
        usage_error(
            ["ingest.policy.stop_key is not set: towpath fleet stop-key FILE makes one"]
        )


def _check_key(key: StopKey, policy: PolicyConfig) -> None:
    _need_key(policy)
    if key.public != policy.stop_key:
        usage_error(
            ["this is not the key of ingest.policy.stop_key: laptops would not obey it"]
        )


def _probe_names(names: list[str] | None) -> tuple[str, ...]:
    from collectors.ingest.ingest_config import check_probe

    try:
        return tuple(check_probe(name) for name in names or ())
    except ValueError as error:
        usage_error([str(error)])


def _line_text(entry: KnownOrder, now_ms: int, policy: PolicyConfig) -> str:
    order = entry.order
    if order is None:
        return f"does nothing: {entry.fault}: {shortened(displayable(entry.line), 61)}"
    given = minute_text(order.issued_ms)
    if order.kind == "key":
        new = " (the one in use)" if order.key == policy.stop_key else ""
        return f"{given}  {_words(order)}{new}"
    over = "  over" if order.until_ms <= now_ms else ""
    why = f"  {displayable(order.why)}" if order.why else ""
    until = f"until {minute_text(order.until_ms)}" if order.kind == "stop" else ""
    return f"{given}  {_words(order)}  {until}{over}{why}".rstrip()


def _words(order: StopOrder) -> str:
    if order.kind == "key":
        return f"changed the key to {order.key[:12]}…"
    verb = {"stop": "stopped", "resume": "resumed"}[order.kind]
    what = ", ".join(order.probes) or "everything"
    whom = f"the ring {order.ring}" if order.ring else "all laptops"
    return f"{verb} {what} for {whom}"
