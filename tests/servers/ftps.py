"""A real, private vsftpd in a temporary folder, on loopback only: FTP over TLS, nothing in clear.

It lets one user in, by the password in a file, and asks that each data connection carries on the
TLS session of its control connection. In its answers to PASV stands an address that is nobody's, as
behind a router.
"""
from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import tempfile
from pathlib import Path

from tests.servers.certificates import Authority
from tests.servers.ports import free_port
from tests.servers.smtp_sink import await_port
from tests.support.require import missing, program

USER, PASSWORD = "ftp", "s3cr:t/p@ss%1"
ENCODED = "s3cr%3At%2Fp%40ss%251"
CONFIG = """\
listen=YES
listen_ipv6=NO
listen_address=127.0.0.1
listen_port={port}
background=NO
anonymous_enable=YES
local_enable=NO
write_enable=YES
secure_email_list_enable=YES
email_password_file={folder}/passwords
anon_root={folder}/root
anon_upload_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
anon_umask=077
anon_max_rate={rate}
dirlist_enable=NO
ssl_enable=YES
allow_anon_ssl=YES
force_anon_logins_ssl=YES
force_anon_data_ssl=YES
require_ssl_reuse=YES
rsa_cert_file={folder}/server.pem
secure_chroot_dir={folder}/empty
pasv_address=192.0.2.1
xferlog_enable=NO
seccomp_sandbox=NO
"""


class Ftps:
    """A running vsftpd. `archive` is the folder behind `url`; rate: bytes a second, 0 for all it
    can."""

    def __init__(self, rate: int = 0, tls: bool = True) -> None:
        if os.geteuid() != 0:
            missing("a private vsftpd can be started by root alone")
        self.binary = program("vsftpd", "vsftpd")
        self.temporary = tempfile.TemporaryDirectory(prefix="vsftpd-")
        self.folder = Path(self.temporary.name)
        self.folder.chmod(0o755)
        authority = Authority(self.folder)
        self.ca_file = authority.ca_file
        authority.chain("localhost").rename(self.folder / "server.pem")
        (self.folder / "passwords").write_text(PASSWORD + "\n")
        (self.folder / "empty").mkdir()
        self.archive = self.folder / "root" / "audit"
        self.archive.mkdir(parents=True)
        user = pwd.getpwnam("ftp")
        os.chown(self.archive, user.pw_uid, user.pw_gid)
        self.archive.chmod(0o700)
        self.port = free_port()
        text = CONFIG.format(folder=self.folder, port=self.port, rate=rate)
        (self.folder / "vsftpd.conf").write_text(text if tls
                                                 else text.replace("=YES\nallow_anon_ssl",
                                                                   "=NO\n#"))
        self.process = subprocess.Popen([self.binary, str(self.folder / "vsftpd.conf")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        await_port(self.port)

    def url(self, password: str = ENCODED, host: str = "localhost", folder: str = "audit") -> str:
        """As `[archive] store` names it."""
        return f"ftps://{USER}:{password}@{host}:{self.port}/{folder}"

    def names(self) -> list[str]:
        """The files in its folder."""
        return sorted(path.name for path in self.archive.iterdir())

    def kill(self) -> None:
        """End it and all its connections at once."""
        for pid in [*_below(self.process.pid), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.temporary.cleanup()


def _below(pid: int) -> list[int]:
    """The processes that it started, and those that they did."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [child for child, parent in parents.items() if parent == pid]
    return [each for child in found for each in (child, *_below(child))]
