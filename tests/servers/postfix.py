"""A real, private Postfix, on loopback only: strict about line ends, discards all mail."""
from __future__ import annotations

import os
import shutil
import signal
import subprocess

from tests.servers.process import Server
from tests.support.require import missing, program

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
discard unix - - n - - discard
error unix - - n - - error
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = relay.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
default_transport = discard
relay_transport = discard
smtputf8_enable = yes
smtpd_forbid_bare_newline = reject
smtpd_forbid_bare_newline_exclusions =
smtpd_forbid_unauth_pipelining = yes
smtpd_recipient_restrictions = permit_mynetworks, reject
message_size_limit = 100000
"""


class Postfix(Server):
    """A running Postfix."""

    def __init__(self) -> None:
        if os.geteuid() != 0:
            missing("a private Postfix can be started by root alone")
        super().__init__()
        for name in ("queue", "data", "conf"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        (self.folder / "conf" / "main.cf").write_text(MAIN.format(folder=self.folder))
        (self.folder / "conf" / "master.cf").write_text(MASTER.format(port=self.port))

    def command(self, what: str = "start-fg") -> list[str]:
        return [program("postfix", "postfix"), "-c", str(self.folder / "conf"), what]

    def stop(self, how: int = signal.SIGKILL) -> None:
        """Its master is in a session of its own."""
        subprocess.run(self.command("stop"), check=True, capture_output=True)
        super().stop(how)

    def log(self) -> str:
        """What it has said so far."""
        return (self.folder / "mail.log").read_text(errors="replace")
