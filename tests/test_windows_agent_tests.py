"""The agent's own tests on Windows CPython under Wine, but for those that are listed
here with the reason."""

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from windows_python import CACHE, ROOT, windows_laptop

pytestmark = [pytest.mark.soak, pytest.mark.service, pytest.mark.timeout(3600)]
TESTS = ROOT / "tests"
_SERVER = "starts the council's server; pydantic and cryptography do not load in Wine 8"
_NAMESPACES = "makes network namespaces of Linux"
_POSIX = "checks what only POSIX has (modes, signals, limits of a process)"
_UDP = "Wine does not report a closed port to a UDP socket"
FILES_THAT_CANNOT = {
    "test_agent_bad_input": _SERVER,
    "test_agent_beacon": _SERVER,
    "test_agent_clock": _SERVER,
    "test_agent_copied_disk": _SERVER,
    "test_agent_enrol_again": _SERVER,
    "test_agent_day_budget": _SERVER,
    "test_agent_delivery": _SERVER,
    "test_agent_end_to_end": _SERVER,
    "test_agent_enrolment_token": _SERVER,
    "test_agent_https": _SERVER,
    "test_agent_mqtt": _SERVER,
    "test_agent_mqtt_renewal": _SERVER,
    "test_agent_page": _SERVER,
    "test_agent_place_network": _NAMESPACES,
    "test_agent_proxy": "starts a proxy of Linux",
    "test_agent_weeks_offline": _SERVER,
    "test_probes_bad_networks": _NAMESPACES,
    "test_probes_costs": _SERVER,
    "test_probes_ndt7": _SERVER,
    "test_agent_certificates": _SERVER,
    "test_agent_damaged_files": _SERVER,
    "test_agent_identity": _SERVER,
    "test_probes_shaped_path": _NAMESPACES,
    "test_probes_twamp_light": _SERVER,
    "test_probes_web": _SERVER,
    "test_probes_web_proxy": _SERVER,
}
TESTS_THAT_CANNOT = {
    "test_agent_log::test_a_full_disk_is_said_elsewhere_and_the_log_goes_on_when_there"
    "_is_room": "writes to /dev/full",
    "test_agent_selftest::test_the_command_lists_the_files_and_writes_the_bundle": (
        "gives the command the environment of Linux"
    ),
    "test_agent_spool::test_what_was_put_is_there_again_in_its_order_until_a_receipt"
    "_names_it": _POSIX,
    "test_agent_spool::test_nothing_put_is_lost_and_nothing_forgotten_comes_back_over"
    "_kill_9": _POSIX,
    "test_agent_spool::test_a_full_disk_is_survived_and_reported_until_there_is_room": (
        _POSIX
    ),
    "test_platforms_linux::test_a_command_is_limited_in_time_and_may_be_missing": (
        "runs commands of Linux"
    ),
    "test_probes_call_path::test_a_port_without_a_listener_refuses": _UDP,
    "test_probes_path::test_a_closed_port_still_reaches_the_destination": (
        "traces with sockets of Linux"
    ),
    "test_probes_stun::test_an_unknown_relay_or_closed_port_is_an_outcome": _UDP,
    "test_probes_list::test_a_new_probe_is_one_module_and_its_line_in_the_list": (
        _SERVER
    ),
}
# What pytest needs there, as the lock of the project has it.
LIBRARIES = {
    "colorama",
    "dnspython",
    "hypothesis",
    "iniconfig",
    "packaging",
    "pluggy",
    "pygments",
    "pytest",
    "pytest-asyncio",
    "pytest-timeout",
    "sortedcontainers",
    "typing-extensions",
}


def agent_tests() -> set[str]:
    names = ("test_agent_*.py", "test_platforms_*.py", "test_probes_*.py")
    return {path.stem for name in names for path in TESTS.glob(name)}


def pytest_libraries() -> Path:
    """A folder with pytest for Windows, made once on a machine."""
    lock = (ROOT / "requirements.lock").read_text()
    blocks = [
        re.sub(r" ; [^\\]*", " ", block, count=1)
        for block in re.split(r"\n(?=\S)", lock)
        if block.partition("==")[0] in LIBRARIES
    ]
    needed = "\n".join(blocks) + "\n"
    made_of = hashlib.sha256(needed.encode()).hexdigest()[:16]
    folder = CACHE / f"windows-pytest-{made_of}"
    if not (folder / "made").is_file():
        wheels = folder / "wheels"
        wheels.mkdir(parents=True, exist_ok=True)
        (folder / "needed.txt").write_text(needed)
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
             "--disable-pip-version-check", "--only-binary=:all:", "--require-hashes",
             "--platform", "win_amd64", "--python-version", "312",
             "--implementation", "cp", "--dest", wheels, "-r", folder / "needed.txt"],
            check=True,
            timeout=300,
        )  # fmt: skip
        for wheel in wheels.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
        (folder / "made").touch()
    return folder


def test_what_cannot_run_is_there() -> None:
    assert set(FILES_THAT_CANNOT) <= agent_tests()
    for name in TESTS_THAT_CANNOT:
        file, _, test = name.partition("::")
        assert f"def {test}(" in (TESTS / f"{file}.py").read_text("utf-8"), name


def test_the_agents_own_tests_pass_on_windows() -> None:
    laptop = windows_laptop()
    laptop.longest_s = 3000.0
    places = (ROOT, TESTS, pytest_libraries())
    laptop.environment["PYTHONPATH"] = ";".join(
        f"Z:{place}".replace("/", "\\") for place in places
    )
    # Wine has no code page of its own that holds every character.
    laptop.environment["PYTHONUTF8"] = "1"
    files = [
        f"tests/{name}.py" for name in sorted(agent_tests() - {*FILES_THAT_CANNOT})
    ]
    left_out = [
        f"--deselect=tests/{name.replace('::', '.py::', 1)}"
        for name in TESTS_THAT_CANNOT
    ]
    done = laptop.run_python(
        *("-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", "-c", "NUL"),
        *("--rootdir", ".", "--import-mode=importlib", "--timeout", "600"),
        *("-o", "asyncio_mode=auto"),
        # Without limits of time, as tests/conftest.py sets it elsewhere.
        "--hypothesis-profile=ci",
        *("-o", "asyncio_default_fixture_loop_scope=function"),
        *left_out,
        *files,
        cwd=ROOT,
    )
    shown = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, shown[-6000:]
    passed = re.search(r"(\d+) passed", shown)
    assert passed is not None
    # As many as there were when this was written, but for a few.
    assert int(passed[1]) > 700
