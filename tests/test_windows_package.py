"""The agent's MSI: its tables, its files, and that it is the same in each build."""

import hashlib
import os
import random
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import services
from hypothesis import given
from hypothesis import strategies as st
from windows_python import free_prefix

WINDOWS = Path(__file__).resolve().parents[1] / "deploy" / "windows"
sys.path[:0] = [str(WINDOWS), str(WINDOWS.parent / "packages")]
# Not packages of the project: the tools of `make msi`.
cabinet = pytest.importorskip("cabinet")
installed_files = pytest.importorskip("installed_files")
msi_contents = pytest.importorskip("msi_contents")
msi_database = pytest.importorskip("msi_database")
msi_package = pytest.importorskip("msi_package")

pytestmark = [pytest.mark.service]
# Never to be changed: installed agents are found by it.
UPGRADE_CODE = "{CA58E9C9-11E2-52CD-A7DC-23D58E69ECE0}"
NOISE = random.Random(7).randbytes(8_000_000)
FILES = {
    PurePosixPath("LICENSE.txt"): b"",
    PurePosixPath("bin", "towpath-agent.cmd"): b"@rem\r\n",
    # So large that the container needs more than its first list of sectors.
    PurePosixPath("lib", "a long name.cpython-312.pyc"): NOISE,
    PurePosixPath("lib", "b.py"): b"x = 1\n" * 20_000,
    PurePosixPath("towpath-agent-service.exe"): b"MZ",
}
Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def msi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("msi") / "agent.msi"
    path.write_bytes(built())
    return path


def built(**changes: Any) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1767225600")
        whole = {"files": FILES, "version": "0.2.0", "actions": b"library"}
        package: bytes = msi_package.package(**(whole | changes))
        return package


def run(*command: str | Path, quiet: bool = True) -> str:
    done = subprocess.run(
        [services.program(str(command[0])), *map(str, command[1:])],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert not (quiet and done.stderr)
    return done.stdout.decode("cp1252")


def rows(msi: Path, table: str) -> Rows:
    lines = run("msiinfo", "export", msi, table).split("\r\n")
    names = lines[0].split("\t")
    return [
        dict(zip(names, line.split("\t"), strict=True)) for line in lines[3:] if line
    ]


def properties(msi: Path) -> dict[str, str]:
    return {row["Property"]: row["Value"] for row in rows(msi, "Property")}


def test_the_files_come_out_as_they_went_in(msi: Path, tmp_path: Path) -> None:
    run("msiextract", "-C", tmp_path, msi)
    folder = tmp_path / "Towpath" / "Agent"
    found = {
        PurePosixPath(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert found == FILES


def test_the_same_contents_give_the_same_bytes_and_others_another_product(
    tmp_path: Path,
) -> None:
    first = built()
    assert built() == first
    codes = []
    more = FILES | {PurePosixPath("lib", "c.py"): b""}
    for number, change in enumerate(({}, {"files": more}, {"version": "0.3.0"})):
        path = tmp_path / f"{number}.msi"
        path.write_bytes(built(**change))
        summary = run("msiinfo", "suminfo", path)
        package = summary.partition("(UUID): ")[2][:38]
        product = properties(path)
        components = {row["ComponentId"] for row in rows(path, "Component")}
        codes.append((package, product["ProductCode"]))
        assert product["UpgradeCode"] == UPGRADE_CODE
        assert len(components) == 3
    assert len({code for pair in codes for code in pair}) == 6


def test_the_python_in_the_list_has_a_version() -> None:
    files = {PurePosixPath("python", "python312.dll"): b"MZ"}
    for name, version in (
        ("python-3.12.10-embed-amd64.zip", "3.12.10"),
        ("windows-python", "3.12"),
    ):
        assert msi_contents.bundled_python(files, name).version == version


def test_the_libraries_in_python_have_the_versions_that_they_say() -> None:
    folder = PurePosixPath("python")
    files = {
        folder / "libcrypto-3.dll": b"..\0OpenSSL 3.0.16 11 Feb 2025\0..",
        folder / "libssl-3.dll": b"no version",
        folder / "sqlite3.dll": b"..\x003.49.1\0..",
        folder / "pyexpat.pyd": b"..expat_2.7.1\0",
        PurePosixPath("lib", "sqlite3.dll"): b"another's",
    }
    listed = msi_contents.bundled_in_python(files)
    assert [(one.name, one.version) for one in listed] == [
        ("openssl", "3.0.16"),
        ("sqlite", "3.49.1"),
        ("expat", "2.7.1"),
    ]
    crypto, tls = listed[0].places
    assert (crypto.name, tls.name) == ("libcrypto-3.dll", "libssl-3.dll")
    # The module is Python's, the library in it is not.
    assert listed[2].places == ()


def test_it_is_for_the_machine_and_says_so(msi: Path) -> None:
    summary = run("msiinfo", "suminfo", msi)
    assert "Subject: Towpath agent 0.2.0" in summary
    assert "Template: x64;1033" in summary
    assert "Created: Thu Jan  1 00:00:00 2026" in summary
    known = properties(msi)
    assert known["ALLUSERS"] == "1"
    # Windows never restarts a laptop by itself.
    assert known["REBOOT"] == "ReallySuppress"
    conditions = {row["Condition"] for row in rows(msi, "LaunchCondition")}
    assert "Privileged" in conditions


def test_the_token_is_in_no_log_and_no_registry(msi: Path) -> None:
    known = properties(msi)
    assert set(known["MsiHiddenProperties"].split(";")) >= {"TOKEN", "PrepareFolders"}
    assert "TOKEN" in known["SecureCustomProperties"].split(";")
    assert not [row for row in rows(msi, "Registry") if "[TOKEN]" in row["Value"]]
    actions = {row["Action"]: int(row["Type"]) for row in rows(msi, "CustomAction")}
    # msidbCustomActionTypeHideTarget, NoImpersonate and InScript.
    assert actions["PrepareFolders"] & 0x2C00 == 0x2C00
    holders = [r["Action"] for r in rows(msi, "CustomAction") if "TOKEN" in r["Target"]]
    assert holders == ["SetPrepareFolders"]


def test_what_the_installer_writes_is_what_the_agent_reads(msi: Path) -> None:
    from probes.agent.settings_layers import setting_types
    from probes.platforms.event_log import SOURCE
    from probes.platforms.system_settings import INSTALLER_KEY

    registry = rows(msi, "Registry")
    names = {row["Name"] for row in registry if row["Key"] == INSTALLER_KEY}
    assert names <= set(setting_types())
    assert names >= {"server", "ring", "state_folder", "shared_folder"}
    assert [row for row in registry if row["Key"].endswith(rf"\Application\{SOURCE}")]


def test_server_and_ring_are_remembered_on_an_upgrade(msi: Path) -> None:
    searched = {row["Property"]: row["Signature_"] for row in rows(msi, "AppSearch")}
    places = {row["Signature_"]: row for row in rows(msi, "RegLocator")}
    order = {
        r["Action"]: int(r["Sequence"]) for r in rows(msi, "InstallExecuteSequence")
    }
    for name in ("SERVER", "RING"):
        place = places[searched[f"REMEMBERED_{name}"]]
        assert (place["Root"], place["Name"]) == ("2", name.lower())
        # Before the old version, and its registry, goes.
        assert order["AppSearch"] < order[f"Remember{name}"]
        assert order[f"Remember{name}"] < order["RemoveExistingProducts"]


def test_the_state_goes_with_the_product_and_not_in_an_upgrade(msi: Path) -> None:
    order = {row["Action"]: row for row in rows(msi, "InstallExecuteSequence")}
    number = {action: int(row["Sequence"]) for action, row in order.items()}
    assert order["EraseState"]["Condition"] == (
        'REMOVE="ALL" AND NOT UPGRADINGPRODUCTCODE'
    )
    # What is refused is refused before the first change.
    assert number["CheckProperties"] < number["MarkUpgrade"]
    # The folders are there before the service starts, and the old one is gone.
    assert (
        number["StopServices"]
        < number["WaitForService"]
        < number["DeleteServices"]
        < number["InstallFiles"]
        < number["SetPrepareFolders"]
        < number["PrepareFolders"]
        < number["InstallServices"]
        < number["StartServices"]
    )
    older = [row for row in rows(msi, "Upgrade") if row["ActionProperty"] == "OLDER"]
    assert [row["VersionMax"] for row in older] == ["0.2.0"]


def test_the_service_has_few_rights_and_is_started_again(msi: Path) -> None:
    (service,) = rows(msi, "ServiceInstall")
    assert service["StartName"] == r"NT AUTHORITY\LocalService"
    assert service["StartType"] == "2"
    settings = {
        row["ConfigType"]: row["Argument"] for row in rows(msi, "MsiServiceConfig")
    }
    assert settings == {"3": "1", "4": "1"}  # delayed start, failure actions
    (control,) = rows(msi, "ServiceControl")
    # Start and stop at installation, stop and delete at uninstallation.
    assert int(control["Event"]) == 0x1 | 0x2 | 0x20 | 0x80


def test_the_programs_compile_without_a_warning(tmp_path: Path) -> None:
    services.program("x86_64-w64-mingw32-gcc")
    for name in ("towpath-agent-service.exe", "installer-actions.dll"):
        assert msi_package.build_program(tmp_path, name)[:2] == b"MZ"


def test_the_msi_has_of_a_wheel_what_the_other_packages_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = (
        "dns/name.py", "dns/name.pyi", "dns/py.typed", "dns/fast.c", "dns/fast.pyd",
        "dns/tests/test_name.py", "dns-1.dist-info/METADATA", "dns-1.dist-info/RECORD",
        "dns-1.dist-info/entry_points.txt", "dns-1.data/scripts/dns",
    )  # fmt: skip
    library, own = tmp_path / "dns-1-py3-none-any.whl", tmp_path / "own" / "t-1.whl"
    own.parent.mkdir()
    for wheel, inside in ((library, names), (own, ("probes/a.py", "alerts/b.py"))):
        with zipfile.ZipFile(wheel, "w") as archive:
            for name in inside:
                archive.writestr(name, name)
    monkeypatch.setattr(installed_files, "build_wheel", lambda _: own)
    files = {str(path) for path in installed_files.library_files(tmp_path, "312")}
    others = {str(path) for path, _ in installed_files.wheel_files(library)}
    assert files - {"probes/a.py"} == others
    assert others == {"dns/name.py", "dns/fast.pyd", "dns-1.dist-info/METADATA"}


def test_two_runs_at_a_time_have_wine_folders_of_their_own(tmp_path: Path) -> None:
    folders = [free_prefix(tmp_path).name for _ in range(3)]
    assert folders == ["wine", "wine-2", "wine-3"]


def test_another_python_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "python-3.12.10-embed-amd64.zip"
    wrong.write_bytes(b"PK")
    ended = subprocess.run(
        [sys.executable, WINDOWS / "make-msi", wrong, tmp_path / "out.msi"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert ended.returncode == 1
    assert "has the hash" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_signed_package_is_still_one(msi: Path, tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    signed = tmp_path / "signed.msi"
    run(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
        *("-keyout", key, "-out", certificate, "-subj", "/CN=Council code signing"),
        *("-addext", "extendedKeyUsage=codeSigning"),
        quiet=False,
    )
    run(
        *("osslsigncode", "sign", "-certs", certificate, "-key", key, "-h", "sha256"),
        *("-n", "Towpath agent", "-in", msi, "-out", signed),
    )
    verified = run("osslsigncode", "verify", "-CAfile", certificate, "-in", signed)
    assert "Signature verification: ok" in verified
    assert properties(signed) == properties(msi)


def test_the_official_python_imports_only_what_is_installed(tmp_path: Path) -> None:
    path = tmp_path / "python-3.12.10-embed-amd64.zip"
    names = ("python.exe", "python312.dll", "python312.zip", "python312._pth")
    with zipfile.ZipFile(path, "w") as archive:
        for name in (*names, "_msi.pyd", "python.cat", "LICENSE.txt"):
            archive.writestr(name, b"x")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    files = installed_files.embedded_python(path, path.name, sha256)
    assert {str(file) for file in files} == {*names, "LICENSE.txt"}
    # Neither the registry nor the environment nor a user's own folder adds to it.
    paths = files[PurePosixPath("python312._pth")].decode().split()
    assert paths == ["python312.zip", ".", "..\\lib"]
    with pytest.raises(ValueError, match=r"python\.lock"):
        installed_files.embedded_python(path, path.name, "0" * 64)


def unpacked(packed: bytes) -> bytes:
    """What is in a cabinet of one folder, by its blocks; checks their sums."""
    at = int.from_bytes(packed[36:40], "little")
    count = int.from_bytes(packed[40:42], "little")
    content = b""
    for _ in range(count):
        size = int.from_bytes(packed[at + 4 : at + 6], "little")
        whole = int.from_bytes(packed[at + 6 : at + 8], "little")
        block = packed[at + 8 : at + 8 + size]
        assert int.from_bytes(packed[at : at + 4], "little") == checksum(
            packed[at + 4 : at + 8], checksum(block, 0)
        )
        assert (block[:2], size <= 32_768 + 12) == (b"CK", True)
        inflate = zlib.decompressobj(-15, zdict=content[-32_768:])
        part = inflate.decompress(block[2:])
        assert (len(part), inflate.eof) == (whole, True)
        content += part
        at += 8 + size
    assert at == len(packed) == int.from_bytes(packed[8:12], "little")
    return content


def checksum(data: bytes, seed: int) -> int:
    """As MS-CAB describes it."""
    for at in range(0, len(data) // 4 * 4, 4):
        seed ^= int.from_bytes(data[at : at + 4], "little")
    rest = data[len(data) // 4 * 4 :]
    return seed ^ int.from_bytes(rest, "big")


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=50),
            st.integers(0, 70_000).map(lambda size: NOISE[:size]),
            st.integers(0, 70_000).map(lambda size: b"ab" * size),
        ),
        max_size=5,
    )
)
def test_a_cabinet_gives_back_what_it_was_given(contents: list[bytes]) -> None:
    files = [cabinet.CabinetFile(f"F{n}", part) for n, part in enumerate(contents)]
    assert unpacked(cabinet.write_cabinet(files)) == b"".join(contents)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("s5", "longer"), ("i2", 40_000), ("i4", None), ("s72", None), ("s72", "")],
)
def test_a_value_that_a_column_does_not_hold_is_refused(kind: str, value: Any) -> None:
    columns = [("Key", "s72"), ("Value", kind)]
    table = msi_database.Table(columns, 1, [("a", value)])
    with pytest.raises(ValueError, match=r"T\.Value"):
        msi_database.write_msi({"T": table}, None, {})


def test_two_rows_of_one_key_are_refused() -> None:
    table = msi_database.Table([("Key", "s72")], 1, [("a",), ("a",)])
    with pytest.raises(ValueError, match="same key"):
        msi_database.write_msi({"T": table}, None, {})
