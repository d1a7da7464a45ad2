"""A file that is replaced is always whole, and only its own user's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from probes.wire.atomic_file import replace_file, write_new_file


def test_replacing_a_file_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    for body in (b"old", b"new"):
        replace_file(path, body, durable=True)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077])
def test_the_mode_is_as_asked_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    modes = {0o600: 0o600, 0o640: 0o640, None: 0o666 & ~umask}
    before = os.umask(umask)
    try:
        for mode in modes:
            replace_file(tmp_path / f"{mode}", b"x", durable=False, mode=mode)
    finally:
        os.umask(before)
    written = {
        mode: stat.S_IMODE((tmp_path / f"{mode}").stat().st_mode) for mode in modes
    }
    assert written == modes


@pytest.mark.parametrize(("mode", "folder"), [(0o600, 0o700), (0o640, 0o750)])
def test_a_new_folder_is_for_those_who_may_read_the_file(
    tmp_path: Path, mode: int, folder: int
) -> None:
    path = tmp_path / "new" / "secret"
    replace_file(path, b"x", durable=True, mode=mode)
    assert stat.S_IMODE(path.parent.stat().st_mode) == folder


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    replace_file(path, b"old", durable=True)
    with pytest.raises(TypeError):
        replace_file(path, "not bytes", durable=True)  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_crash_left_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    (tmp_path / "state.json.new").write_bytes(b"torn")
    replace_file(path, b"whole", durable=True)
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_never_overwrites(tmp_path: Path) -> None:
    write_new_file(tmp_path / "key", b"first", durable=False)
    with pytest.raises(FileExistsError):
        write_new_file(tmp_path / "key", b"second", durable=False)
    assert (tmp_path / "key").read_bytes() == b"first"
