"""The raw messages of the sample service: what real mail brings along, each trouble once."""
from __future__ import annotations

import os
from base64 import encodebytes
from email.utils import format_datetime

from .signed import SIGNED

LONG_LINE = 12_000       # octets: RFC 5322 2.1.1 allows 998, newsletters do not care
HOPS = 51                # Received lines of a message that goes round in a circle
PDF = (b"%PDF-1.1\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 "
       b"R]/Count 1>>endobj\n" b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 "
       b"144]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n")


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


def store(spool: str, name: str, received) -> int:
    """Write the message into the spool, once, and return its size; 0 for one that is to be
    missing."""
    path = os.path.join(spool, name)
    if name not in MESSAGES:
        return 0
    if not os.path.exists(path):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(raw(name, received))
    return os.path.getsize(path)


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
    return ("Message-ID: <4711@outdoor.example>\nFrom: Outdoor Shop <orders@outdoor.example>\nTo: "
            "shop@alias.example\n" "Subject: Order 4711 is on its way\nMIME-Version: "
            "1.0\nContent-Type: text/html; charset=us-ascii\n\n" "<html><body><p>Your order is on "
            f"its way.</p>\n<table><tr>{line}</tr></table>\n</body></html>\n")


def _invoice() -> str:
    return ("Message-ID: <0917@printer.example>\nFrom: Print Works <billing@printer.example>\nTo: "
            "shop@alias.example\n" "Subject: Invoice 0917\nMIME-Version: 1.0\nContent-Type: "
            "multipart/mixed; boundary=\"parts\"\n\n"
            "--parts\nContent-Type: text/plain; charset=us-ascii\n\nThe invoice is attached.\n\n"
            "--parts\nContent-Type: application/pdf\nContent-Disposition: attachment; "
            "filename=\"invoice-0917.pdf\"\n"
            f"Content-Transfer-Encoding: base64\n\n{encodebytes(PDF).decode()}\n--parts--\n")


def _bounce() -> str:
    return ("Message-ID: <0815@books.example>\nFrom: Mail Delivery <MAILER-DAEMON@books.example>\n"
            "To: shop@alias.example\n"
            "Subject: Undelivered mail\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=us-ascii\n\nYour message to sales@books.example was "
            "not delivered.\n")


def _loop() -> str:
    hops = "".join(f"Received: from host{hop % 2}.circle.example by "
                   f"host{(hop + 1) % 2}.circle.example; step {hop}\n" for hop in range(HOPS))
    return hops + _plain("Chess Club <news@circle.example>", "club@alias.example",
                         "Fwd: Fwd: Chess results",
                         1138, "Round and round it goes.\n")


MESSAGES = {
    "newsletter.eml": _newsletter(),                    # a line of 12,000 octets
    "greetings.eml": _plain("=?utf-8?Q?J=C3=B6rg_M=C3=BCller?= <joerg@koeln.example>", "shop@alias.example",
                            # an encoded subject
                            "=?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=", 2207,
                            # a body of 8 bits
                            "Liebe Jane,\n\nschöne Grüße aus Köln!\n\nJörg\n"),
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
    # held, since the account was over its limit
    "photos.eml": _plain("Photo Lab <lab@photo.example>", "shop@alias.example", "Your photos are ready", 3301,
                         "48 prints, glossy. Please fetch them this month.\n"),
    "minutes.eml": _plain("Ann Lee <ann@club.example>", "club@alias.example", "Minutes of the meeting", 32,
                          "Present: all of us. Decided: lemonade.\n\nAnn\n"),
    "seeds.eml": _plain("Garden Shop <post@garden.example>", "shop@alias.example", "Spring seeds are here", 18,
                        "Beans, peas, sunflowers.\n"),
    "results.eml": _plain("Clinic <desk@clinic.example>", "sam@alias.example", "Your results are ready", 9004,
                          "Please call us between nine and five.\n"),
    "walk.eml": _plain("Tom Reed <tom@reed.example>", "club@alias.example", "A walk on Sunday?", 9,
                       "Ten o'clock, at the bridge?\n\nTom\n"),
    "keys.eml": _plain("Landlord <house@rent.example>", "bank@alias.example", "Handing over the keys", 71,
                       "Friday at four.\n"),
    "deposit.eml": _plain("Landlord <house@rent.example>", "bank@alias.example", "Your deposit", 72,
                          "It is on its way.\n"),
    # judged to be spam
    "pills.eml": _plain("Best Pills <win@pills.example>", "shop@alias.example", "Cheapest pills ever", 1, "Click!\n"),
    "prize.eml": _plain("Lottery <you@prize.example>", "club@alias.example", "You have won", 2, "Send us your PIN.\n"),
    "watch.eml": _plain("Watches <sale@watch.example>", "shop@alias.example", "Watches at 90 % off", 3, "Buy!\n"),
    "offer.eml": _plain("Offers <sale@offer.example>", "nils@alias.example", "An offer", 4, "Only today!\n"),
    "survey.eml": _plain("Survey <ask@survey.example>", "shop@alias.example", "Two minutes of your time?", 404,
                         "Twelve short questions.\n"),
}
