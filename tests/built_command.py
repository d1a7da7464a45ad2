"""Imported into a process from which `towpath` is forked: its commands are built once.

Typer builds all of them, by the annotations of a hundred functions, whenever one is
run. That is most of what a forked command costs.
"""

from __future__ import annotations

import functools

import typer.main

from towpath.cli import app

typer.main.get_command = functools.cache(typer.main.get_command)
typer.main.get_command(app)
