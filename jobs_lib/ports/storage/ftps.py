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
from contextlib import suppress
from typing import Any

from .base import BLOCK, PARTIAL, ArchiveError, Login, place_of_url

CONNECT_SECONDS, ANSWER_SECONDS = 20, 60    # to reach the server; for each answer and each block
# so long without a word, the connection is tried before it is used
FRESH_SECONDS = 15
MISSING = "550"                             # also says "not allowed": see `_gone`
SHOWN = 200                                 # of a server's words


class FtpsStore:
    """One connection, opened when it is needed, and anew after any trouble."""

    def __init__(self, login: Login, ca_file: str = "") -> None:
        self._login, self._ca_file = login, ca_file
        self.place = place_of_url(login)
        self._ftp: _Session | None = None
        self._used = 0.0

    def location(self, name: str) -> str:
        """The file's URL, without the login."""
        return f"{self.place}/{name}"

    def put(self, name: str, blocks) -> None:
        """Send a new file."""
        with _Speaking(self) as ftp:
            ftp.voidcmd("TYPE I")
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
        """Fetch a file."""
        with _Speaking(self) as ftp:
            ftp.voidcmd("TYPE I")
            try:
                data: Any = ftp.transfercmd(f"RETR {name}")
            except ftplib.error_perm as error:
                if not str(error).startswith(MISSING):
                    raise
                raise ArchiveError(f"{name} is not in {self.place}, or may not be read "
                                   f"({_words(error)})") from None
            with data:
                while block := data.recv(BLOCK):
                    yield block
                with suppress(OSError):
                    data.unwrap()
            ftp.voidresp()

    def has(self, name: str) -> bool:
        """Whether the file is there."""
        with _Speaking(self) as ftp:
            ftp.voidcmd("TYPE I")
            return not _gone(ftp, name)

    def remove(self, name: str) -> None:
        """Delete the file in both its names."""
        for each in (name + PARTIAL, name):
            with _Speaking(self) as ftp:
                try:
                    ftp.delete(each)
                except ftplib.error_perm as error:
                    ftp.voidcmd("TYPE I")
                    if not str(error).startswith(MISSING) or not _gone(ftp, each):
                        raise

    def close(self) -> None:
        """Say good-bye, for politeness alone."""
        ftp, self._ftp = self._ftp, None
        if ftp is not None:
            with suppress(*TROUBLE):
                ftp.sock.settimeout(2)
                ftp.quit()
            _hang_up(ftp)

    def ready(self) -> _Session:
        """The connection, signed in and in the folder."""
        if self._ftp is not None and time.monotonic() - self._used > FRESH_SECONDS:
            try:
                self._ftp.voidcmd("NOOP")
            except TROUBLE:                     # a server hangs up on who is silent for a while
                self.drop()
        if self._ftp is None:
            self._ftp = self._connect()
        self._used = time.monotonic()
        return self._ftp

    def done(self) -> None:
        """It was just used."""
        self._used = time.monotonic()

    def drop(self) -> None:
        """Throw the connection away: nobody knows which answer would come next."""
        ftp, self._ftp = self._ftp, None
        if ftp is not None:
            _hang_up(ftp)

    def trouble(self, error: BaseException) -> ArchiveError:
        """What went wrong, in a sentence."""
        return ArchiveError(f"[archive] store {self.place}: {_words(error)}")

    def _connect(self) -> _Session:
        login = self._login
        try:
            context = ssl.create_default_context(cafile=self._ca_file or None)
        except OSError as error:
            raise ArchiveError(f"[archive] ca_file = {self._ca_file}: {error.strerror or error}") from None
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


class _Refused(Exception):
    """The server said no, and we know what that means."""


TROUBLE: tuple[type[BaseException], ...] = (*ftplib.all_errors, ValueError, _Refused)


class _Speaking:
    """`with` it, what goes wrong becomes an ArchiveError, and after anything else but success the
    connection goes."""

    def __init__(self, store: FtpsStore) -> None:
        self._store = store

    def __enter__(self) -> _Session:
        try:
            return self._store.ready()
        except TROUBLE as error:
            raise self._store.trouble(error) from None

    def __exit__(self, _kind, error, _trace) -> None:
        if error is None:
            self._store.done()
            return
        self._store.drop()
        if isinstance(error, TROUBLE):
            raise self._store.trouble(error) from None


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


def _gone(ftp: _Session, name: str) -> bool:
    """Whether the server knows no such file; it says 550 to a file that may not be touched as
    well."""
    try:
        ftp.size(name)
    except ftplib.error_perm as error:
        if str(error).startswith(MISSING):
            return True
        with suppress(ftplib.error_perm):       # it knows no SIZE (RFC 3659), or may not tell
            return name not in ftp.nlst()
    return False


def _hang_up(ftp: _Session) -> None:
    with suppress(OSError):
        ftp.close()


def _words(error: BaseException) -> str:
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
