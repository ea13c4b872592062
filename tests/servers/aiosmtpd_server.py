"""aiosmtpd as a private relay with STARTTLS or TLS and AUTH."""
from __future__ import annotations

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from tests.servers.ports import free_port


class Mailbox:
    """Keeps what was delivered, with the name it was delivered under and whether TLS was on."""

    def __init__(self) -> None:
        self.messages = []

    async def handle_DATA(self, server, session, envelope):
        of_transport = server.transport.get_extra_info("ssl_object")
        secure = session.ssl is not None or of_transport is not None
        self.messages.append((session.auth_data, secure, envelope.mail_from, envelope.rcpt_tos,
                              envelope.content))
        return "250 2.0.0 Ok"


class TlsRelay(Controller):
    """security: none, starttls or tls; with a login AUTH is required. mechanisms: what it offers of
    AUTH."""

    def __init__(self, context=None, security: str = "none", login=None,
                 mechanisms=("PLAIN", "LOGIN")) -> None:
        def authenticate(server, session, envelope, mechanism, data):
            given = (data.login.decode(), data.password.decode())
            return AuthResult(success=given == login, handled=False, auth_data=given[0])

        self.mailbox = Mailbox()
        options = {"decode_data": False, "enable_SMTPUTF8": True}
        if login:
            options |= {"authenticator": authenticate, "auth_required": True,
                        "auth_require_tls": False}
        if security == "starttls":
            options |= {"tls_context": context, "require_starttls": True}
        self.excluded = {"PLAIN", "LOGIN"} - set(mechanisms)
        super().__init__(self.mailbox, hostname="127.0.0.1", port=free_port(),
                         ssl_context=context if security == "tls" else None, **options)

    def factory(self):
        return SMTP(self.handler, auth_exclude_mechanism=self.excluded, **self.SMTP_kwargs)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
