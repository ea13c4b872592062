"""Archives on a server that speaks FTP over TLS (RFC 4217): AUTH TLS, then everything encrypted,
files too.

The certificate is verified by name. A data connection goes to the address of the control
connection, whatever the server says (behind NAT it says a wrong one, and a hostile one could send
us elsewhere), and carries on the TLS session of the control connection, as vsftpd and others
demand, so that nobody else can take a file's connection.
"""
from __future__ import annotations

import ftplib
import io
import os
import ssl
from contextlib import contextmanager, suppress
from typing import Any

from jobs_lib.ports.deadline import in_words, tls_context

from .store import PARTIAL, ArchiveError, Login, Store, place_of_url

CONNECT_SECONDS, ANSWER_SECONDS = 20, 60    # to reach the server; for each answer and each block
GONE = "550"                                # also says "not allowed"
SHOWN = 200                                 # of a server's words


class _Refused(Exception):
    """The server refused, and we know what that means."""


FAILURES: tuple[type[BaseException], ...] = (*ftplib.all_errors, ValueError, _Refused)


class FtpsStore(Store):
    """A connection for each file: between two of them rows are deleted, for minutes perhaps, and a
    server hangs up after a silence."""

    def __init__(self, login: Login, ca_file: str = "") -> None:
        self._login, self._ca_file = login, ca_file
        self.place = place_of_url(login)

    def put(self, name: str, data: bytes) -> None:
        """Send a new file; its name appears when it is whole."""
        with self._connected() as ftp:
            ftp.storbinary(f"STOR {name}{PARTIAL}", io.BytesIO(data))
            ftp.rename(name + PARTIAL, name)

    def read(self, name: str) -> bytes:
        """Fetch a file."""
        parts: list[bytes] = []
        with self._connected() as ftp:
            try:
                ftp.retrbinary(f"RETR {name}", parts.append)
            except ftplib.error_perm as error:
                if not str(error).startswith(GONE):
                    raise
                raise ArchiveError(f"{name} is not in {self.place}, or may not be read "
                                   f"({_clean(str(error))})") from None
        return b"".join(parts)

    def has(self, name: str) -> bool:
        """Whether the server has this file."""
        with self._connected() as ftp:
            return not _is_missing(ftp, name)

    def remove(self, name: str) -> None:
        """Delete the file in both its names."""
        with self._connected() as ftp:
            for each in (name + PARTIAL, name):
                try:
                    ftp.delete(each)
                except ftplib.error_perm:
                    if not _is_missing(ftp, each):
                        raise

    @contextmanager
    def _connected(self):
        """A connection, signed in and in the folder. What fails becomes an ArchiveError."""
        try:
            context = tls_context("[archive] ca_file", self._ca_file)
            context.sslsocket_class = _Socket
            with _Session(context=context) as ftp:
                self._sign_in(ftp)
                yield ftp
        except FAILURES as error:
            words = "the server closed the connection" if isinstance(error, EOFError) else in_words(
                error)
            raise ArchiveError(f"[archive] store {self.place}: {_clean(words)}") from None

    def _sign_in(self, ftp: _Session) -> None:
        login = self._login
        ftp.connect(login.host, login.port, CONNECT_SECONDS)
        ftp.sock.settimeout(ANSWER_SECONDS)
        ftp.timeout = ANSWER_SECONDS
        with _refusal("it does not offer TLS (AUTH TLS)"):
            ftp.auth()
        with _refusal("it refused the user or the password"):
            ftp.login(login.user, login.password, secure=False)
        ftp.prot_p()
        if login.folder:
            with _refusal(f"there is no folder {login.folder}"):
                ftp.cwd(login.folder)


class _Socket(ssl.SSLSocket):
    """Some servers just close a data connection: what they answer then, and the reading back,
    decide."""

    def unwrap(self):
        with suppress(OSError):
            return super().unwrap()


class _Session(ftplib.FTP_TLS):
    """ftplib's, but for the address and the TLS session of a data connection, and an end that
    changes nothing."""

    sock: Any

    def __exit__(self, *_):
        with suppress(*FAILURES):
            if self.sock is not None:
                self.sock.settimeout(2)
                self.quit()
        with suppress(OSError):
            self.close()

    def makepasv(self):
        _, port = super().makepasv()
        return self.sock.getpeername()[0], port

    def ntransfercmd(self, cmd, rest=None):
        sock, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        try:
            # with TLS 1.3 it comes some time after the handshake: so asked now
            session = self.sock.session
            return self.context.wrap_socket(sock, server_hostname=self.host, session=session), size
        except BaseException:
            sock.close()
            raise


@contextmanager
def _refusal(means: str):
    """What it means that the server refuses this."""
    try:
        yield
    except (ftplib.error_perm, ftplib.error_proto) as error:
        raise _Refused(f"{means} ({_clean(str(error))})") from None


def _is_missing(ftp: _Session, name: str) -> bool:
    """Whether there is no such file. A listing may be refused, or cut: it is the last resort."""
    try:
        ftp.voidcmd("TYPE I")               # in ASCII mode some refuse SIZE
        ftp.size(name)
    except ftplib.error_perm as error:      # other than GONE: it knows no SIZE (RFC 3659)
        return str(error).startswith(GONE) or name not in map(os.path.basename, ftp.nlst())
    return False


def _clean(words: str) -> str:
    return "".join(char if char.isprintable() else " " for char in words).strip()[:SHOWN]
