"""The command `towpath` where the server's libraries are not installed."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_a_laptops_installation_says_which_command_it_has(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from towpath.entry import start\nstart()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(
        f"towpath: this is the installation of a laptop (no {missing})."
    )
    assert "towpath-agent" in done.stderr
    assert done.stderr.count("\n") == 1
