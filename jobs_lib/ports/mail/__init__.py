"""Handing a message to a relay: values, then transports; here the factory."""
from __future__ import annotations


def open_transport(mail, step=None):
    """The transport that the `[mail]` section asks for; nothing is connected before the first
    message. `step`: is called as each step of a session begins, with its name, and as it ends, with
    what was answered, too: a text, or the Reply."""
    if mail.transport == "maildir":
        from .maildir import MaildirTransport
        return MaildirTransport(mail)
    from .smtp import SmtpTransport
    return SmtpTransport(mail, step)
