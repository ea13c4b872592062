"""A session with the relay: connected, encrypted, introduced and signed in before the first
message.

`smtplib` gives EHLO and the AUTH mechanisms. Sockets, time limits and the order of commands are
ours, because the transport has to know in which phase a connection broke.
"""
from __future__ import annotations

import base64
import contextlib
import smtplib
import socket
import ssl
import time

from jobs_lib.ports.outcomes import is_exhausted
from jobs_lib.records import namedtuple

from .connection import Connection
from .reasons import EXHAUSTED
from .replies import Disconnected, Reply

# Seconds for each phase. Up to `data` (the 354) they are shorter than RFC 5321 4.5.3.2's 2 to 5
# minutes: those are for a queue runner that can wait, while a run has about 4 minutes for all its
# messages. A relay that needs longer is down, and nothing is lost by trying later. From `block` on,
# where giving up costs more, they are the RFC's. again: for the first answer on a connection used
# before, which a firewall may have forgotten meanwhile. margin: kept free between the end of any
# phase and the hard limit, so that the result can still be stored.
Limits = namedtuple("Limits",
                    "connect greeting ehlo tls auth again mail rcpt data block dot quit margin")
LIMITS = Limits(connect=30, greeting=60, ehlo=30, tls=30, auth=60, again=30, mail=60, rcpt=60,
                data=60,
                block=180, dot=600, quit=2, margin=5)


def unseen(_step: str, _answer) -> None:
    """What is called after each step of a session, with its name and what was answered: a text, or
    the Reply. This one is for nobody; `jobs.py mail test` shows them."""


class NoSession(Exception):
    """The relay could not be reached or did not let us in; `reply` is its reply, or None.
    `is_ours`: this host lacked something to try it with."""

    def __init__(self, text: str, reply=None, is_ours: bool = False) -> None:
        super().__init__(text)
        self.text, self.reply, self.is_ours = text, reply, is_ours


class SmtpSession(smtplib.SMTP):
    """smtplib's commands over our connection: none waits longer than that allows."""

    def __init__(self, name: str, sock: socket.socket, deadline: float) -> None:
        super().__init__(local_hostname=name)        # without a name smtplib asks DNS for one
        self.speak_over(sock, deadline)
        # the last transaction was refused and may still be open
        self.needs_reset = False
        # out of step or asked to close: not for another message
        self.unusable = False

    def speak_over(self, sock: socket.socket, deadline: float) -> None:
        """This socket from now on; what came over an earlier one is forgotten (RFC 3207 4.2)."""
        self.sock = sock
        self.connection = Connection(sock)
        self.connection.total = deadline
        # so that EHLO is sent again, which clears its features
        self.helo_resp = self.ehlo_resp = None

    def send(self, s) -> None:
        self.connection.write(s.encode(self.command_encoding) if isinstance(s, str) else s)

    def getreply(self) -> tuple:
        return tuple(self.connection.reply())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()

    def expect(self, what: str, answer, *codes: int) -> None:
        """Raises NoSession unless smtplib's (code, text) has one of these codes."""
        if answer[0] not in codes:
            raise NoSession(f"the relay refused {what}", Reply(*answer))


def open_session(mail, limits: Limits, deadline: float, step=unseen) -> SmtpSession:
    """A session ready for MAIL. Raises NoSession with words for the operator."""
    session = None
    try:
        session = SmtpSession(ehlo_name(mail), _connect(mail.host, mail.port, limits, deadline),
                          deadline)
        step("connect", f"{mail.host}:{mail.port} ({session.connection.sock.getpeername()[0]})")
        _introduce(session, mail, limits, deadline, step)
        return session
    except BaseException as error:
        if session is not None:
            session.close()
        failure = _no_session(error, mail)
        if failure is None:
            raise
        raise failure from None


def _no_session(error: BaseException, mail):
    """The NoSession behind what went wrong, or None for what is not the relay's doing (a hard
    limit)."""
    where = f"{mail.host}:{mail.port}"
    if isinstance(error, OSError) and is_exhausted(error):
        return NoSession(EXHAUSTED.text(error=error.strerror), is_ours=True)
    if isinstance(error, NoSession):
        return NoSession(f"{where}: {error.text}", error.reply, error.is_ours)
    if isinstance(error, Disconnected):
        return NoSession(f"{where}: {error.text}")
    if isinstance(error, smtplib.SMTPResponseException):
        return NoSession(f"{where}: the relay refused us",
                            Reply(error.smtp_code, error.smtp_error))
    if isinstance(error, ssl.SSLCertVerificationError):
        return NoSession(f"{where}: the certificate is not accepted: {error.verify_message}")
    if isinstance(error, socket.timeout):            # no TimeoutError before Python 3.10
        return NoSession(f"{where}: no connection in time")
    if isinstance(error, (OSError, ValueError)):     # SMTPException is an OSError
        return NoSession(f"{where}: {getattr(error, 'strerror', None) or error}")
    return None


def ehlo_name(mail) -> str:
    """The name for EHLO: the service's domain or that of `from`, never what DNS thinks of this
    host."""
    name = mail.domain or (mail.from_
                           or "").rpartition("@")[2].strip("> ") or "localhost.localdomain"
    return name if name.isascii() else name.encode("idna").decode("ascii")


def _connect(host: str, port: int, limits: Limits, deadline: float):
    """A connected socket; the addresses of the host share one limit, each that is left its part of
    the rest."""
    until = min(deadline, time.monotonic() + limits.connect)
    failure = OSError(f"{host} has no address")
    found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    for number, (family, kind, protocol, _, address) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(max(0.001, (until - time.monotonic()) / (len(found) - number)))
            sock.connect(address)
            # a command is one write, so waiting to join it with the next (Nagle) only costs a
            # delayed ACK
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except BaseException as error:
            sock.close()
            if not isinstance(error, OSError):
                raise
            failure = error
    raise failure


def _introduce(session: SmtpSession, mail, limits: Limits, deadline: float, step) -> None:
    """Greeting, EHLO, TLS and AUTH, as the section asks for."""
    if mail.security == "tls":              # before a word in clear: RFC 8314 3.3
        _encrypt(session, mail, limits, deadline, step)
    session.connection.allow(limits.greeting)
    greeting = session.getreply()
    session.expect("the connection", greeting, 220)
    step("greeting", Reply(*greeting))
    _ehlo(session, limits, step)
    if mail.security == "starttls":
        if "starttls" not in session.esmtp_features:
            raise NoSession("the relay does not offer STARTTLS, which [mail] security = "
                               "starttls asks for")
        session.connection.allow(limits.tls)
        session.expect("STARTTLS", session.docmd("STARTTLS"), 220)
        if session.connection.has_spoken():
            # bytes that came in clear together with the 220 would be read as if they had come
            # encrypted
            raise NoSession("the relay sent data in clear after agreeing to STARTTLS")
        _encrypt(session, mail, limits, deadline, step)
        _ehlo(session, limits, step)
    if mail.username:
        _sign_in(session, mail, limits)
        step("AUTH", f"signed in as {mail.username}")


def _ehlo(session: SmtpSession, limits: Limits, step) -> None:
    session.connection.allow(limits.ehlo)
    session.ehlo_or_helo_if_needed()
    offers = ", ".join(sorted(name.upper() for name in session.esmtp_features)) or "no extension"
    step("EHLO", f"we are {session.local_hostname}; the relay offers {offers}")


def _encrypt(session: SmtpSession, mail, limits: Limits, deadline: float, step) -> None:
    """TLS, or NoSession; what came before it is forgotten."""
    context = tls_context(mail.ca_file)
    sock = session.connection.sock
    # for the whole handshake
    sock.settimeout(max(0.001, min(limits.tls, deadline - time.monotonic())))
    encrypted = context.wrap_socket(sock, server_hostname=mail.host)
    session.speak_over(encrypted, deadline)
    step("TLS", f"{encrypted.version()}, with a valid certificate for {mail.host}")


def tls_context(ca_file: str) -> ssl.SSLContext:
    """TLS 1.2 or later, certificates verified by name against `ca_file` or the system's roots."""
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        if is_exhausted(error):
            raise
        raise NoSession(f"[mail] ca_file = {ca_file}: {error.strerror or error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _sign_in(session: SmtpSession, mail, limits: Limits) -> None:
    """AUTH; a password goes in clear only to this very machine."""
    sock = session.connection.sock
    if not isinstance(sock, ssl.SSLSocket) and not is_loopback(sock.getpeername()[0]):
        raise NoSession("[mail] security = none shows the password; set starttls or tls")
    methods = session.esmtp_features.get("auth", "").upper().split()
    if not methods:
        raise NoSession("the relay offers no AUTH, but [mail] username is set")
    session.connection.allow(limits.auth)
    password = mail.password or ""
    if "PLAIN" in methods and not (mail.username + password).isascii():
        # smtplib knows only ASCII; RFC 4616 says UTF-8
        secret = base64.b64encode(f"\0{mail.username}\0{password}".encode()).decode("ascii")
        session.expect("the username or password", session.docmd("AUTH", "PLAIN " + secret), 235)
        return
    try:
        session.login(mail.username, password)
    except smtplib.SMTPAuthenticationError as error:
        raise NoSession("the relay refused the username or password",
                           Reply(error.smtp_code, error.smtp_error)) from None
    except UnicodeError:
        raise NoSession("the relay takes only ASCII in username and password") from None


def is_loopback(address: str) -> bool:
    """Whether a connected address is this very machine."""
    return address == "::1" or address.startswith(("127.", "::ffff:127."))
