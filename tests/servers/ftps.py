"""A real, private vsftpd, on loopback only: FTP over TLS, nothing in clear.

It lets one user in, by the password in a file, and asks that each data connection carries on the
TLS session of its control connection. It answers PASV by nobody's address, as behind a router.
"""
from __future__ import annotations

import contextlib
import os
import shutil
import signal

from tests.servers.certificates import Authority
from tests.servers.process import Server, below
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
ssl_enable={tls}
allow_anon_ssl=YES
force_anon_logins_ssl={tls}
force_anon_data_ssl={tls}
require_ssl_reuse=YES
rsa_cert_file={folder}/server.pem
secure_chroot_dir={folder}/empty
pasv_address=192.0.2.1
xferlog_enable=NO
seccomp_sandbox=NO
"""


class Ftps(Server):
    """A vsftpd. `archive` is the folder behind `url`; rate: bytes a second, 0 for all it can."""

    def __init__(self, rate: int = 0, tls: bool = True) -> None:
        if os.geteuid() != 0:
            missing("a private vsftpd can be started by root alone")
        super().__init__()
        authority = Authority(self.folder)
        self.ca_file = authority.ca_file
        authority.chain("localhost").rename(self.folder / "server.pem")
        (self.folder / "passwords").write_text(PASSWORD + "\n")
        (self.folder / "empty").mkdir()
        self.archive = self.folder / "root" / "audit"
        self.archive.mkdir(parents=True)
        shutil.chown(self.archive, "ftp", "ftp")
        self.archive.chmod(0o700)
        (self.folder / "vsftpd.conf").write_text(CONFIG.format(
            folder=self.folder, port=self.port, rate=rate, tls="YES" if tls else "NO"))

    def command(self) -> list[str]:
        return [program("vsftpd", "vsftpd"), str(self.folder / "vsftpd.conf")]

    def url(self, password: str = ENCODED, host: str = "localhost", folder: str = "audit") -> str:
        """As `[archive] store` names it."""
        return f"ftps://{USER}:{password}@{host}:{self.port}/{folder}"

    def names(self) -> list[str]:
        """The files in its folder."""
        return sorted(path.name for path in self.archive.iterdir())

    def stop(self) -> None:
        """End it and all its connections at once; each of them is a session of its own."""
        for pid in below(self.process.pid) if self.process else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        super().stop()
