"""The raw messages of the sample service: what real mail brings along, each trouble once."""
from __future__ import annotations

from base64 import encodebytes
from email.utils import format_datetime

from .signed import SIGNED

LONG_LINE = 12_000       # octets: RFC 5322 2.1.1 allows 998, newsletters do not care
HOPS = 51                # Received lines of a message that goes round in a circle
PDF = (b"%PDF-1.1\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
       b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 144]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n")


def raw(name: str, received) -> bytes:
    """The message `name` that came in at `received` (aware datetime), with CRLF line ends.

    ValueError for a name that is not one of `MESSAGES`.
    """
    if name not in MESSAGES:
        raise ValueError(f"there is no sample message {name!r}")
    text = MESSAGES[name]
    trace = (f"Received: from mx.{_sender_domain(text)} by mx.alias.example with ESMTPS;\n"
             f" {format_datetime(received)}\n")
    dated = text if "\nDate: " in text else f"Date: {format_datetime(received)}\n{text}"
    return (trace + dated).replace("\n", "\r\n").encode("utf-8")


def _sender_domain(text: str) -> str:
    return text.partition("\nFrom: ")[2].partition("@")[2].partition(">")[0] or "sender.example"


def _plain(sender: str, to: str, subject: str, number: int, body: str, more: str = "") -> str:
    domain = sender.partition("@")[2].rstrip(">")
    return (f"Message-ID: <{number}@{domain}>\nFrom: {sender}\nTo: {to}\nSubject: {subject}\n{more}"
            f"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
            f"Content-Transfer-Encoding: {'7bit' if body.isascii() else '8bit'}\n\n{body}")


def _newsletter() -> str:
    cell = "<td style='padding:4px'>Walking boots, waterproof, still 20 % off until Sunday</td>"
    line = (cell * (LONG_LINE // len(cell) + 1))[:LONG_LINE]
    return ("Message-ID: <4711@outdoor.example>\nFrom: Outdoor Shop <orders@outdoor.example>\nTo: shop@alias.example\n"
            "Subject: Order 4711 is on its way\nMIME-Version: 1.0\nContent-Type: text/html; charset=us-ascii\n\n"
            f"<html><body><p>Your order is on its way.</p>\n<table><tr>{line}</tr></table>\n</body></html>\n")


def _invoice() -> str:
    return ("Message-ID: <0917@printer.example>\nFrom: Print Works <billing@printer.example>\nTo: shop@alias.example\n"
            "Subject: Invoice 0917\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"parts\"\n\n"
            "--parts\nContent-Type: text/plain; charset=us-ascii\n\nThe invoice is attached.\n\n"
            "--parts\nContent-Type: application/pdf\nContent-Disposition: attachment; filename=\"invoice-0917.pdf\"\n"
            f"Content-Transfer-Encoding: base64\n\n{encodebytes(PDF).decode()}\n--parts--\n")


def _bounce() -> str:
    return ("Message-ID: <0815@books.example>\nFrom: Mail Delivery <MAILER-DAEMON@books.example>\n"
            "To: shop@alias.example\n"
            "Subject: Undelivered mail\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=us-ascii\n\nYour message to sales@books.example was not delivered.\n")


def _loop() -> str:
    hops = "".join(f"Received: from host{hop % 2}.circle.example by host{(hop + 1) % 2}.circle.example; step {hop}\n"
                   for hop in range(HOPS))
    return hops + _plain("Chess Club <news@circle.example>", "club@alias.example", "Fwd: Fwd: Chess results",
                         1138, "Round and round it goes.\n")


MESSAGES = {
    "newsletter.eml": _newsletter(),                    # a line of 12,000 octets
    "greetings.eml": _plain("=?utf-8?Q?J=C3=B6rg_M=C3=BCller?= <joerg@koeln.example>", "shop@alias.example",
                            "=?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=", 2207,      # an encoded subject
                            "Liebe Jane,\n\nschöne Grüße aus Köln!\n\nJörg\n"),      # a body of 8 bits
    "invoice.eml": _invoice(),                          # an attachment
    "statement.eml": SIGNED,                            # signed by its sender
    "party.eml": _plain("Ann Lee <ann@club.example>", "club@alias.example", "Party: who brings what?", 31,
                        "Salad, bread, lemonade?\n\nAnn\n", "Reply-To: party@club.example\n"),
    "question.eml": _plain("Tom Reed <tom@reed.example>", "shop@alias.example", "A question about your offer", 8,
                           "Is the bicycle still for sale?\n\nTom\n"),
    "bounce.eml": _bounce(),                            # sent by nobody: <>
    "loop.eml": _loop(),                                # goes round in a circle
    "lesson.eml": _plain("Music School <desk@music.example>", "omar@alias.example", "Your lesson on Monday", 77,
                         "See you on Monday at five.\n"),
    "welcome.eml": _plain("Forum <hello@forum.example>", "lena@alias.example", "Welcome to the forum", 5,
                          "Good to have you here.\n"),
    "ticket.eml": _plain("Railway <tickets@rail.example>", "shop@alias.example", "Your ticket to Bergen", 660,
                         "Seat 14, window.\n"),
    "recipe.eml": _plain("Cookery <post@cookery.example>", "club@alias.example", "The recipe you asked for", 12,
                         "Two eggs, flour, milk.\n"),
    "survey.eml": _plain("Survey <ask@survey.example>", "shop@alias.example", "Two minutes of your time?", 404,
                         "Twelve short questions.\n"),
}
