"""Write a notice to users into the folder `preview`, as they will see it.

It becomes KIND.eml for a mail program and KIND.html for a browser. The content is made up;
templates, personas and addresses are yours. Without KIND all of them are written. A template of
your own ([notifications] templates) that cannot be used is reported, and nothing of that kind is
written.

With --send ADDRESS it is sent there instead, by the relay of [mail] and within its limits, and each
step is shown, as `jobs.py mail test` does.
"""
from __future__ import annotations

import os

from jobs_lib import clock, folders
from jobs_lib.config.option_types import address, argparse_type
from jobs_lib.errors import FAILED, OK, UsageError
from jobs_lib.features import exports
from jobs_lib.features.notifications import KINDS, SAMPLES, outbox, render
from jobs_lib.ports.mail import Envelope
from jobs_lib.text.addresses import check
from jobs_lib.text.mustache import TemplateError

from . import _sending

READER = "jane@home.example"
FOLDER = "preview"                       # where you are
EXAMPLE = "https://app.example"          # where no [core] app_url is set


def arguments(parser) -> None:
    parser.add_argument("kind", metavar="KIND", nargs="?", choices=SAMPLES,
                        help=f"one of {', '.join(SAMPLES)}")
    parser.add_argument("--send", metavar="ADDRESS", type=argparse_type(address),
                        help="send this one notice to the address; no file is written")


def run(args, make_session, config_path) -> int:
    session = make_session(config_path)
    if args.send:
        return _send(session, args.kind, args.send)
    code, folder = OK, os.path.abspath(FOLDER)
    for kind in [args.kind] if args.kind else SAMPLES:
        try:
            letter = _letter(session.config, kind)
        except TemplateError as error:
            session.console.fail(str(error))
            code = FAILED
            continue
        names = _write(session, folder, kind, letter)
        if args.kind:
            session.console.report(f"Subject: {letter.subject}\n\n{letter.text}")
        session.console.report(f"{kind}: {', '.join(os.path.relpath(name) for name in names)}")
    return code


def _letter(config, kind: str) -> render.Letter:
    values = {"name": "Jane Miller", **SAMPLES[kind]}
    if "link" in values:
        page = exports.page(config) or f"{EXAMPLE}/export"
        values["link"] = exports.link(page, "a-sample-and-no-token")
    return render.compose(config, kind, values, config.section("notifications").templates)


def _send(session, kind: str | None, address: str) -> int:
    """The notice goes to this address, under the subject that its reader will see."""
    if kind is None:
        raise UsageError("preview: --send needs the KIND of the notice, such as `preview "
                         f"{next(iter(SAMPLES))} --send {address}`")
    session.config.check([], ("core", "mail", "personas", "notifications", "export"))
    recipient = check(address)
    content, author = _composed(session, kind, _letter(session.config, kind), recipient)
    sender = session.config.section("mail").from_ or author
    return _sending.send(session, Envelope(sender, recipient), content,
                         f"preview-{kind}-{os.urandom(4).hex()}")


def _composed(session, kind: str, letter, reader: str) -> tuple[bytes, str]:
    """(the message, its author's address)."""
    config = session.config
    now = clock.text(session.ports.now())
    row = {"id": 1, "kind": kind, "persona": KINDS[kind].persona, "created_at": now,
           "subject": letter.subject, "body_text": letter.text, "body_html": letter.html}
    return outbox.compose(row, reader, vars(config.section("personas")),
                          config.section("mail").domain, now)


def _write(session, folder: str, kind: str, letter) -> list[str]:
    content, _ = _composed(session, kind, letter, READER)
    names = [os.path.join(folder, f"{kind}.{suffix}") for suffix in ("eml", "html")]
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for name, data in zip(names, (content, letter.html)):
        folders.write(name, data)
    return names
