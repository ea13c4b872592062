"""Archives on a server that speaks FTP over TLS (RFC 4217): AUTH TLS, then everything encrypted,
files too.

The certificate is verified by name. A data connection goes to the address of the control
connection, whatever the server says (behind NAT it says a wrong one, and a hostile one could send
us elsewhere), and carries on the TLS session of the control connection, as vsftpd and others
demand, so that nobody else can take a file's connection.
"""
from __future__ import annotations

import ftplib
import ssl
import time
from contextlib import contextmanager, suppress
from typing import Any

from .store import BLOCK, PARTIAL, ArchiveError, Login, Store, place_of_url

CONNECT_SECONDS, ANSWER_SECONDS = 20, 60    # to reach the server; for each answer and each block
# after this long without a command, the connection is tried before it is used
FRESH_SECONDS = 15
MISSING = "550"                             # also says "not allowed": see `_is_missing`
SHOWN = 200                                 # of a server's words


class _Refused(Exception):
    """The server refused, and we know what that means."""


FAILURES: tuple[type[BaseException], ...] = (*ftplib.all_errors, ValueError, _Refused)


class FtpsStore(Store):
    """One connection, opened when it is needed, and again after any failure."""

    def __init__(self, login: Login, ca_file: str = "") -> None:
        self._login, self._ca_file = login, ca_file
        self.place = place_of_url(login)
        self._ftp: _Session | None = None
        self._used = 0.0

    def put(self, name: str, blocks) -> None:
        """Send a new file; its name appears when it is whole."""
        with self._session() as ftp:
            data: Any = ftp.transfercmd(f"STOR {name}{PARTIAL}")
            with data:
                for block in blocks:
                    data.sendall(block)
                with suppress(OSError):
                    # some servers just close; the 226 and the reading back decide
                    data.unwrap()
            ftp.voidresp()
            ftp.rename(name + PARTIAL, name)

    def read(self, name: str):
        """Fetch a file's bytes, in chunks."""
        with self._session() as ftp:
            try:
                data: Any = ftp.transfercmd(f"RETR {name}")
            except ftplib.error_perm as error:
                if not str(error).startswith(MISSING):
                    raise
                raise ArchiveError(f"{name} is not in {self.place}, or may not be read "
                                   f"({_reason(error)})") from None
            with data:
                while block := data.recv(BLOCK):
                    yield block
                with suppress(OSError):
                    data.unwrap()
            ftp.voidresp()

    def has(self, name: str) -> bool:
        """Whether the server has this file."""
        with self._session() as ftp:
            return not _is_missing(ftp, name)

    def remove(self, name: str) -> None:
        """Delete the file in both its names."""
        with self._session() as ftp:
            for each in (name + PARTIAL, name):
                try:
                    ftp.delete(each)
                except ftplib.error_perm as error:
                    if not str(error).startswith(MISSING) or not _is_missing(ftp, each):
                        raise

    def close(self) -> None:
        """Say good-bye, for politeness alone."""
        if self._ftp is not None:
            with suppress(*FAILURES):
                self._ftp.sock.settimeout(2)
                self._ftp.quit()
            self._drop()

    @contextmanager
    def _session(self):
        """The connection, signed in and in the folder, for binary files. What fails becomes an
        ArchiveError; after anything but success the connection is closed, since nobody knows which
        answer would come next."""
        try:
            ftp = self._ready()
            ftp.voidcmd("TYPE I")
            yield ftp
        except BaseException as error:
            self._drop()
            if isinstance(error, FAILURES):
                raise ArchiveError(f"[archive] store {self.place}: {_reason(error)}") from None
            raise
        self._used = time.monotonic()

    def _ready(self) -> _Session:
        if self._ftp is not None and time.monotonic() - self._used > FRESH_SECONDS:
            try:
                self._ftp.voidcmd("NOOP")
            except FAILURES:                    # a server hangs up after a silence
                self._drop()
        if self._ftp is None:
            self._ftp = self._connect()
        return self._ftp

    def _drop(self) -> None:
        ftp, self._ftp = self._ftp, None
        if ftp is not None:
            _hang_up(ftp)

    def _connect(self) -> _Session:
        login = self._login
        try:
            context = ssl.create_default_context(cafile=self._ca_file or None)
        except OSError as error:
            raise ArchiveError(f"[archive] ca_file = {self._ca_file}: "
                               f"{error.strerror or error}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        ftp = _Session(context=context)
        try:
            ftp.connect(login.host, login.port, CONNECT_SECONDS)
            ftp.sock.settimeout(ANSWER_SECONDS)
            ftp.timeout = ANSWER_SECONDS
            _ask(ftp.auth, "it does not offer TLS (AUTH TLS)")
            _ask(lambda: ftp.login(login.user, login.password, secure=False),
                 "it refused the user or the password")
            ftp.prot_p()
            if login.folder:
                _ask(lambda: ftp.cwd(login.folder), f"there is no folder {login.folder}")
        except BaseException:
            _hang_up(ftp)
            raise
        return ftp


class _Session(ftplib.FTP_TLS):
    """ftplib's, but for the address and the TLS session of a data connection."""

    sock: Any

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


def _ask(step, otherwise: str) -> None:
    try:
        step()
    except (ftplib.error_perm, ftplib.error_proto) as error:
        raise _Refused(f"{otherwise} ({_clean(str(error))})") from None


def _is_missing(ftp: _Session, name: str) -> bool:
    """Whether the server knows no such file; it says 550 to a file that may not be touched as
    well."""
    try:
        ftp.size(name)
    except ftplib.error_perm as error:
        if str(error).startswith(MISSING):
            return True
        with suppress(ftplib.error_perm):       # it knows no SIZE (RFC 3659), or refuses it
            return name not in ftp.nlst()
    return False


def _hang_up(ftp: _Session) -> None:
    with suppress(OSError):
        ftp.close()


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    if isinstance(error, EOFError):
        return "the server closed the connection"
    if isinstance(error, TimeoutError) or type(error).__name__ == "timeout":
        # no TimeoutError before Python 3.10
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return _clean(str(error)) or type(error).__name__


def _clean(words: str) -> str:
    return "".join(char if char.isprintable() else " " for char in words).strip()[:SHOWN]
