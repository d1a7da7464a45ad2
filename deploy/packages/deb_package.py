"""Builds the agent's Debian package: `make-deb OUT_FOLDER`. Needs dpkg-deb, no root.

    /usr/lib/towpath-agent     `probes` and its libraries
    /usr/bin/towpath-agent     the command, for the system's Python 3.11 to 3.14
    /usr/lib/systemd/system    the service, with a user of its own
    /etc/towpath-agent.d       the council's policy

The same commit gives the same bytes. An SBOM is written beside the package.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import hashlib
import os
import re
import stat
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

from agent_files import (
    PROJECT,
    ROOT,
    AgentFiles,
    Files,
    collect,
    commit_time,
    libraries,
    project_version,
)
from agent_manual import manual_page
from bill_of_materials import write_bill

HERE = Path(__file__).resolve().parent / "debian"
NAME = "towpath-agent"
MAINTAINER = "Towpath maintainers <towpath@example.org>"
COMPRESSION = "xz"
_ARCHITECTURES = {"linux-x86_64": "amd64", "linux-aarch64": "arm64"}
_LIBRARY = PurePosixPath("usr/lib", NAME)
_DOCUMENTS = PurePosixPath("usr/share/doc", NAME)
_APACHE = "On Debian systems the text is in /usr/share/common-licenses/Apache-2.0."
_SCRIPTS = ("postinst", "prerm", "postrm")
_PROGRAM = PurePosixPath("usr/bin", NAME)
_DEPENDS = (
    "python3 (>= 3.11), python3 (<< 3.15), libc6 (>= 2.17), "
    "systemd | systemd-standalone-sysusers | systemd-sysusers"
)
_OWN_USER = {
    "DynamicUser=yes\n": (
        f"User={NAME}\nRuntimeDirectory={NAME}\nRuntimeDirectoryMode=0755\n"
        "RuntimeDirectoryPreserve=restart\nRemoveIPC=yes\nPrivateDevices=yes\n"
        "ProtectHostname=yes\nProtectProc=invisible\n"
    ),
    "/var/lib/private/": "/var/lib/",
    # Without settings it would end at once, again and again.
    "After=network-online.target\n": (
        "After=network-online.target\n"
        "ConditionPathExistsGlob=|/etc/towpath-agent.d/*.toml\n"
        "ConditionPathExists=|/etc/towpath-agent.toml\n"
    ),
}
_IN_CHECKOUT = "/opt/towpath-agent/bin/towpath-agent"


def main() -> int:
    parser = argparse.ArgumentParser("make-deb", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--target", choices=sorted(_ARCHITECTURES),
                        default=f"linux-{os.uname().machine}")  # fmt: skip
    parser.add_argument("--version", default=project_version(), help="for the tests")
    options = parser.parse_args()
    try:
        package = build(options.out, options.target, options.version)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"make-deb: {error}", file=sys.stderr)
        return 1
    print(package)
    return 0


def build(out: Path, target: str, version: str) -> Path:
    """Writes the package and its SBOM; returns the package."""
    agent, architecture = collect(target), _ARCHITECTURES[target]
    made_s = commit_time()
    files = package_files(agent, version, made_s)
    out.mkdir(parents=True, exist_ok=True)
    package = out / f"{NAME}_{version}_{architecture}.deb"
    with tempfile.TemporaryDirectory(prefix="towpath-deb-") as work:
        tree = Path(work, "tree")
        lay_out(tree, files, control_files(files, version, architecture), made_s)
        subprocess.run(
            ["dpkg-deb", "--build", "--root-owner-group",
             f"-Z{COMPRESSION}", tree, package],
            env={**os.environ, "SOURCE_DATE_EPOCH": str(made_s)},
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    package.chmod(0o644)
    write_bill(package, agent, files, _LIBRARY, target)
    return package


def package_files(agent: AgentFiles, version: str, made_s: int) -> Files:
    """Everything that is installed. Pure but for the files of the checkout."""
    deploy = ROOT / "deploy"
    files = {_LIBRARY / path: content for path, content in agent.files.items()}
    files[_PROGRAM] = (HERE / NAME).read_bytes()
    unit = (deploy / "systemd" / "towpath-agent.service").read_text("utf-8")
    units = PurePosixPath("usr/lib/systemd/system", "towpath-agent.service")
    files[units] = own_user(_installed(unit)).encode()
    sysusers = PurePosixPath("usr/lib/sysusers.d", f"{NAME}.conf")
    files[sysusers] = (HERE / "sysusers").read_bytes()
    settings = PurePosixPath("usr/lib/towpath-agent.d", "package.toml")
    files[settings] = (HERE / "package.toml").read_bytes()
    entry = (deploy / "agent" / "linux" / "is-it-me.desktop").read_text("utf-8")
    entries = PurePosixPath("usr/share/applications", "towpath-is-it-me.desktop")
    files[entries] = _installed(entry).encode()
    readme = (HERE / "policy-readme").read_bytes()
    files[PurePosixPath("etc/towpath-agent.d", "README")] = readme
    files[_DOCUMENTS / "copyright"] = _copyright(agent).encode()
    files[_DOCUMENTS / "changelog.gz"] = _zipped(_changelog(version, made_s), made_s)
    manual = manual_page(version, made_s)
    files[PurePosixPath("usr/share/man/man1", f"{NAME}.1.gz")] = _zipped(manual, made_s)
    # The compiled libraries are those of PyPI, whose hashes the lock has.
    reason = "".join(
        f"{NAME}: unstripped-binary-or-object [{path}]\n"
        for path in files
        if path.suffix == ".so"
    )
    files[PurePosixPath("usr/share/lintian/overrides", NAME)] = reason.encode()
    for page in ("staff.md", "privacy.md"):
        files[_DOCUMENTS / page] = (ROOT / "docs" / page).read_bytes()
    return dict(sorted(files.items()))


def own_user(unit: str) -> str:
    """The unit with a user that stays. Staff could not reach the folders of a dynamic
    user, and they are to see what the service shows. Pure."""
    for line, instead in _OWN_USER.items():
        if line not in unit:
            raise ValueError(f"the unit has no line {line!r}")
        unit = unit.replace(line, instead)
    return unit


def _installed(text: str) -> str:
    """A file of `deploy/` with the paths of the package."""
    text = text.replace(_IN_CHECKOUT, f"/{_PROGRAM}")
    text = text.replace("/opt/towpath-agent/docs", f"/{_DOCUMENTS}")
    if "/opt/" in text:
        raise ValueError("a path below /opt is left in a file of the package")
    return text


def control_files(files: Files, version: str, architecture: str) -> dict[str, bytes]:
    """What is for dpkg."""
    size_kb = sum(-(-len(content) // 1024) for content in files.values())
    sums = "".join(
        f"{_md5(content)}  {path}\n"
        for path, content in files.items()
        if path.parts[0] != "etc"
    )
    control = f"""Package: {NAME}
Version: {version}
Architecture: {architecture}
Maintainer: {MAINTAINER}
Installed-Size: {size_kb}
Pre-Depends: init-system-helpers (>= 1.54~)
Depends: {_DEPENDS}
Recommends: iw
Section: net
Priority: optional
Description: measures how well this laptop is connected
 The agent of Towpath, a network and remote-working monitor for councils. It
 measures what the council's policy names, keeps to a budget of data, and
 reports under a pseudonym. It learns nothing of what a person does. To see
 what it collects, run "towpath-agent what-we-collect".
 .
 The package is complete: it brings the libraries that the agent needs.
"""
    conffiles = "/etc/towpath-agent.d/README\n"
    scripts = {name: (HERE / name).read_bytes() for name in _SCRIPTS}
    text = {"control": control, "md5sums": sums, "conffiles": conffiles}
    return {**{name: part.encode() for name, part in text.items()}, **scripts}


def _md5(content: bytes) -> str:
    # dpkg --verify reads no other sum. It finds damage, not malice.
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def lay_out(tree: Path, files: Files, control: dict[str, bytes], made_s: int) -> None:
    """Writes the tree that dpkg-deb packs. Every file and folder has one time."""
    tree.mkdir(parents=True)
    for path, content in files.items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o755 if path.parts[:2] == ("usr", "bin") else 0o644)
    (tree / "DEBIAN").mkdir()
    for name, content in control.items():
        target = tree / "DEBIAN" / name
        target.write_bytes(content)
        target.chmod(0o755 if name in _SCRIPTS else 0o644)
    for path in [*tree.rglob("*"), tree]:
        if path.is_dir():
            path.chmod(stat.S_IRWXU | 0o055)
        os.utime(path, (made_s, made_s))


def _changelog(version: str, made_s: int) -> str:
    made = datetime.datetime.fromtimestamp(made_s, datetime.UTC)
    date = made.strftime("%a, %d %b %Y %H:%M:%S +0000")
    return (
        f"{NAME} ({version}) stable; urgency=medium\n\n"
        "  * See CHANGELOG.md of Towpath.\n\n"
        f" -- {MAINTAINER}  {date}\n"
    )


def _zipped(text: str, made_s: int) -> bytes:
    return gzip.compress(text.encode(), 9, mtime=made_s)


def _copyright(agent: AgentFiles) -> str:
    """The licence of each part (copyright format 1.0), by what is in the package."""
    head = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        "Upstream-Name: towpath\n\n"
        "Files: *\nCopyright: Towpath maintainers\nLicense: Apache-2.0\n"
        f" {_APACHE}\n"
    )
    parts = []
    for library in libraries(agent.files):
        texts = [
            content.decode("utf-8", "replace")
            for path, content in agent.files.items()
            if _is_licence(path) and agent.owners[path] == library.name
        ]
        if library.name == PROJECT:
            continue
        if library.licence == "Apache-2.0":
            texts = [_APACHE]
        lines = re.sub(r"(?m)^\s*$", ".", "\n".join(texts)).splitlines()
        body = (
            "".join(f" {line.rstrip()}\n" for line in lines) or " See its metadata.\n"
        )
        tops = sorted(
            {
                path.parts[0]
                for path, owner in agent.owners.items()
                if owner == library.name
            }
        )
        listed = " ".join(f"{_LIBRARY}/{top}" for top in tops)
        parts.append(
            f"\nFiles: {listed}\nCopyright: the authors of {library.name} "
            f"{library.version}\nLicense: {library.licence or 'unknown'}\n{body}"
        )
    return head + "".join(parts)


def _is_licence(path: PurePosixPath) -> bool:
    text = re.match(r"(?i)(licen[cs]e|copying|epl)", path.name)
    return path.parts[0].endswith(".dist-info") and text is not None
