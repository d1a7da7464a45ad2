"""The command `towpath` where the server's libraries are not installed."""

import subprocess
import sys


def test_a_laptops_installation_says_which_command_it_has() -> None:
    code = (
        "import sys; sys.modules['typer'] = None\n"
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
        "towpath: this is the installation of a laptop (no typer)."
    )
    assert "towpath-agent" in done.stderr
    assert done.stderr.count("\n") == 1
