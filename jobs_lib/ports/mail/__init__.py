"""Handing a message to a relay: values, then transports; here the factory."""
from __future__ import annotations


def open_transport(mail, stop=None, step=None):
    """The transport that the `[mail]` section asks for; nothing is connected before the first
    message.

    `stop`: a function that is asked before a connection is made; when it says True the message is
    given back. `step`: is called after each step of a session (smtp_session.unseen).
    """
    if mail.transport == "maildir":
        from .maildir import MaildirTransport
        return MaildirTransport(mail)
    from .smtp import SmtpTransport
    return SmtpTransport(mail, stop, **({"step": step} if step else {}))
