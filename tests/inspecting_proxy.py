"""A council's proxy: squid, which wants a name and password (`staff`, `secret`) and
opens TLS with an authority of the council's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import services

_CERTGEN = Path("/usr/lib/squid/security_file_certgen")
_BASIC = Path("/usr/lib/squid/basic_ncsa_auth")
# squid refuses to be root, and another user may not read the folders of tests.
_NOT_ROOT = (
    ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if os.geteuid() == 0
    else []
)
NAME, PASSWORD = "staff", "secret"


class InspectingProxy(services.Server):
    """`ca_file` is what its laptops trust; `server_ca` is what squid trusts."""

    def __init__(self, folder: Path, server_ca: Path) -> None:
        squid = services.program("squid")
        if not (_CERTGEN.exists() and _BASIC.exists()):
            services.absent("squid cannot open TLS here (Debian: squid-openssl)")
        folder.mkdir(parents=True, exist_ok=True)
        port = services.free_port()
        self.ca_file, both = folder / "proxy-ca.pem", folder / "proxy-ca-and-key.pem"
        _make_authority(self.ca_file, both)
        (folder / "passwords").write_text(f"{NAME}:{_apr1(PASSWORD)}\n")
        made = [str(_CERTGEN), "-c", "-s", str(folder / "made"), "-M", "8MB"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
        config = folder / "squid.conf"
        config.write_text(_config(folder, port, both, server_ca))
        command = [*_NOT_ROOT, squid, "-N", "-f", str(config)]
        super().__init__(command, folder, port, lambda: services.answers_tcp(port))

    @property
    def url(self) -> str:
        return f"http://{NAME}:{PASSWORD}@127.0.0.1:{self.port}"

    @property
    def access_log(self) -> Path:
        return self.folder / "access.log"


def _config(folder: Path, port: int, authority: Path, server_ca: Path) -> str:
    return f"""http_port 127.0.0.1:{port} ssl-bump cert={authority} \
generate-host-certificates=on dynamic_cert_mem_cache_size=8MB
sslcrtd_program {_CERTGEN} -s {folder}/made -M 8MB
sslcrtd_children 2 startup=1
tls_outgoing_options cafile={server_ca}
acl first at_step SslBump1
ssl_bump peek first
ssl_bump bump all
auth_param basic program {_BASIC} {folder}/passwords
auth_param basic children 2 startup=1
auth_param basic realm Wrenford
acl known proxy_auth REQUIRED
http_access deny !known
http_access allow all
access_log stdio:{folder}/access.log
cache_log {folder}/cache.log
cache deny all
pid_filename {folder}/squid.pid
coredump_dir {folder}
shutdown_lifetime 1 seconds
max_filedescriptors 16384
visible_hostname proxy.wrenford.example
"""


def _make_authority(ca_file: Path, both: Path) -> None:
    key = both.with_suffix(".key")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "7"),
            *("-subj", "/CN=Wrenford proxy authority", "-keyout", str(key)),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            *("-out", str(ca_file)),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    both.write_text(ca_file.read_text() + key.read_text())
    both.chmod(0o600)


def _apr1(password: str) -> str:
    openssl = shutil.which("openssl") or services.program("openssl")
    done = subprocess.run(
        [openssl, "passwd", "-apr1", password],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout.strip()
