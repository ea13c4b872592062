"""Archives on a server that speaks FTP over TLS (RFC 4217): AUTH TLS, then everything encrypted,
files too.

The certificate is verified by name. A data connection goes to the address of the control
connection, whatever the server says (behind NAT it says a wrong one), and carries on its TLS
session, as vsftpd and others demand, so that nobody else can take a file's connection.
"""
from __future__ import annotations

import ftplib
import io
import ssl
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from jobs_lib.ports.deadline import in_words, tls_context

from . import ArchiveError, place_of

PARTIAL = ".part"  # at the end of a temporary name
SECONDS = 60  # to connect, for each answer and for each block
GONE = "550"  # no such file, of a server that is asked for its size
SHOWN = 200  # of a server's words
FAILURES: tuple[type[BaseException], ...] = (*ftplib.all_errors, ValueError)


class FtpsStore:
    """A connection for each file: between two of them rows are deleted, for minutes perhaps, and a
    server hangs up after a silence."""

    def __init__(self, section) -> None:
        self.place, self._ca_file = place_of(section), section.ca_file
        self._url = urlsplit(section.store)

    def put(self, name: str, data: bytes) -> None:
        """Send a new file; its name appears when it is whole."""
        with self._connected() as ftp:
            ftp.storbinary(f"STOR {name}{PARTIAL}", io.BytesIO(data))
            ftp.rename(name + PARTIAL, name)

    def read(self, name: str) -> bytes:
        """Fetch a file."""
        parts: list[bytes] = []
        with self._connected() as ftp:
            ftp.retrbinary(f"RETR {name}", parts.append)
        return b"".join(parts)

    def remove(self, name: str) -> bool:
        """Delete the file in both its names."""
        with self._connected() as ftp:
            found = list(filter(ftp.has, (name + PARTIAL, name)))
            for each in found:
                ftp.delete(each)
        return bool(found)

    @contextmanager
    def _connected(self):
        """A connection, signed in and in the folder. What fails becomes an ArchiveError."""
        url, context = self._url, tls_context("[archive] ca_file", self._ca_file)
        context.sslsocket_class = _Socket
        with closing(_Session(context=context)) as ftp:
            try:
                ftp.connect(url.hostname or "", url.port or ftplib.FTP_PORT, SECONDS)
                # after AUTH TLS
                ftp.login(unquote(url.username or ""), unquote(url.password or ""))
                ftp.prot_p()
                if folder := unquote(url.path[1:]):
                    ftp.cwd(folder)
                yield ftp
            except FAILURES as error:
                words = in_words(error) if str(error) else "the server closed the connection"
                raise ArchiveError(f"[archive] store {self.place}: {words[:SHOWN]}") from None


class _Socket(ssl.SSLSocket):
    """Some servers just close a data connection: what they answer then, and the reading back,
    decide."""

    def unwrap(self):
        with suppress(OSError):
            return super().unwrap()


class _Session(ftplib.FTP_TLS):
    """ftplib's, which also knows whether there is a file."""

    sock: Any

    def ntransfercmd(self, cmd, rest=None):
        """Open a data connection, by the TLS session of this one."""
        sock, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        # with TLS 1.3 it comes some time after the handshake: so asked now
        session = self.sock.session
        secure = self.context.wrap_socket(sock, server_hostname=self.host, session=session)
        return secure, size

    def has(self, name: str) -> bool:
        """Whether there is this file, by its size: a listing may be refused, or cut."""
        try:
            self.voidcmd("TYPE I")  # in ASCII mode some refuse SIZE
            self.size(name)
        except ftplib.error_perm as error:
            if not str(error).startswith(GONE):
                raise
            return False
        return True
