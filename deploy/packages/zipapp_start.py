"""Starts the agent from one file, for a Python of 3.11 or newer.

Compiled modules cannot be imported from an archive, so what is in this one is written
to a folder of this user, once for each version, and imported from there. The folder is
this user's own and closed to others, or it is not used.
"""

import hashlib
import os
import shutil
import stat
import sys
import tempfile
import zipfile
from pathlib import Path

NAME = "towpath-agent"


def main():
    # A system's Python may be older than those that this file was made for.
    if sys.version_info < (3, 11):  # noqa: UP036
        sys.exit(f"{NAME} needs Python 3.11 or newer, this is {sys.version.split()[0]}")
    archive = Path(sys.argv[0]).resolve()
    try:
        folder = unpacked(archive, cache_folder())
    except (OSError, zipfile.BadZipFile) as error:
        sys.exit(f"{NAME}: {archive} cannot be unpacked: {error}")
    # Not from the folder that it is started in, nor where PYTHONPATH leads.
    sys.path[:] = [str(folder), *own_paths()]
    from probes.agent.agent_cli import main as run

    sys.exit(run())


def cache_folder():
    # systemd gives a service a folder of its own by this name (CacheDirectory=).
    given = os.environ.get("CACHE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    if sys.platform == "darwin":
        return Path("~/Library/Caches", NAME).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "."), NAME, "cache")
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home, NAME).expanduser()


def own_paths():
    """Python's own modules, without those of the user and of other programs."""
    prefixes = tuple({sys.base_prefix, sys.base_exec_prefix})
    paths = [path for path in sys.path if path.startswith(prefixes)]
    others = ("site-packages", "dist-packages")
    return [path for path in paths if not path.endswith(others)]


def unpacked(archive, cache):
    """Returns the folder with the contents of `archive`. Raises `OSError`."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()[:32]
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(cache)
    folder = cache / digest
    if folder.is_dir():
        check_private(folder)
        return folder
    os.umask(0o077)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=cache))
    try:
        with zipfile.ZipFile(archive) as opened:
            for name in opened.namelist():
                if name != "__main__.py":
                    opened.extract(name, new)
        new.rename(folder)
    except OSError:
        # Another process may have been first.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


def check_private(folder):
    """Raises `OSError` if others can write there: their code would run as this user."""
    if sys.platform == "win32":
        return
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        raise OSError(f"{folder} is not a folder of this user")
    if stat.S_IMODE(facts.st_mode) & 0o022:
        raise OSError(f"others may write in {folder}")


if __name__ == "__main__":
    main()
