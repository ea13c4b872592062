"""Send a test message by the relay of [mail], and show each step.

The steps are connection, TLS, login, sender, recipient and content. Where it fails, it says what to
do. The message counts against the limits of [mail], and is not sent when they are used up. It exits
with 0 when the relay has accepted the message.
"""
from __future__ import annotations

import os

from jobs_lib.config.option_types import address, argparse_type
from jobs_lib.engines import mime
from jobs_lib.ports.mail import Envelope
from jobs_lib.text.addresses import check

from . import _sending

SUBJECT = "A test message from your background jobs"
TEXT = """\
This is the message of `jobs.py mail test`. It has arrived, so the jobs can send mail.

Look at its headers, too: a receiver that trusts your domain has written spf=pass and dkim=pass
there.
"""


def arguments(parser) -> None:
    parser.add_argument("action", metavar="test", choices=("test",), help="send a test message")
    parser.add_argument("address", metavar="ADDRESS", type=argparse_type(address),
                        help="where it is sent, such as your own address elsewhere")


def run(args, make_session, config_path) -> int:
    session = make_session(config_path)
    config = session.config
    config.check([], ("core", "mail", "personas"))
    mail, recipient = config.section("mail"), check(args.address)
    author, address = mime.mailbox(config.section("personas").porter)
    now = session.ports.now()
    name = f"test.{now:%Y%m%d%H%M%S}.{os.urandom(4).hex()}"
    content = mime.message(author, recipient, SUBJECT, now, name, mail.domain, TEXT)
    return _sending.send(session, Envelope(mail.from_ or address, recipient), content, name)
