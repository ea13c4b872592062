"""The raw messages of the demo: the difficulties of real mail, each once."""
from __future__ import annotations

import os
from base64 import encodebytes
from email.utils import format_datetime

from jobs_lib.folders import new_file

from .signed import SIGNED

LONG_LINE = 12_000       # octets: RFC 5322 2.1.1 allows 998, newsletters do not care
HOPS = 51                # Received lines of a message that goes round in a circle
PDF = b"""%PDF-1.1
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 144]>>endobj
trailer<</Root 1 0 R>>
%%EOF
"""


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
    """Write the message into the spool, once, and return its size in bytes; 0 for one that is meant
    to be missing."""
    path = os.path.join(spool, name)
    if name not in MESSAGES:
        return 0
    if not os.path.exists(path):
        with new_file(path) as file:
            file.write(raw(name, received))
    return os.path.getsize(path)


def _sender_domain(text: str) -> str:
    return text.partition("\nFrom: ")[2].partition("@")[2].partition(">")[0] or "sender.example"


def _message(number: str, sender: str, to: str, subject: str, content: str, more: str = "") -> str:
    """`content`: from the Content-Type on, without its name."""
    domain = sender.partition("@")[2].rstrip(">")
    return (f"Message-ID: <{number}@{domain}>\nFrom: {sender}\nTo: {to}@alias.example\n"
            f"Subject: {subject}\n{more}MIME-Version: 1.0\nContent-Type: {content}")


def _plain(number: str, sender: str, to: str, subject: str, body: str, more: str = "") -> str:
    encoding = "7bit" if body.isascii() else "8bit"
    return _message(number, sender, to, subject, "text/plain; charset=utf-8\n"
                    f"Content-Transfer-Encoding: {encoding}\n\n{body}", more)


CELL = "<td style='padding:4px'>Walking boots, waterproof, still 20 % off until Sunday</td>"
NEWSLETTER = f"""\
text/html; charset=us-ascii

<html><body><p>Your order is on its way.</p>
<table><tr>{(CELL * (LONG_LINE // len(CELL) + 1))[:LONG_LINE]}</tr></table>
</body></html>
"""
INVOICE = f"""\
multipart/mixed; boundary="parts"

--parts
Content-Type: text/plain; charset=us-ascii

The invoice is attached.

--parts
Content-Type: application/pdf
Content-Disposition: attachment; filename="invoice-0917.pdf"
Content-Transfer-Encoding: base64

{encodebytes(PDF).decode()}
--parts--
"""
TRACE = "".join(f"Received: from host{hop % 2}.circle.example by "
                f"host{(hop + 1) % 2}.circle.example; step {hop}\n" for hop in range(HOPS))
# {file: (number, sender, recipient, subject, body)}
PLAIN = {
    # an encoded subject, and a body of 8 bits
    "greetings.eml": ("2207", "=?utf-8?Q?J=C3=B6rg_M=C3=BCller?= <joerg@koeln.example>", "shop",
                      "=?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=",
                      "Liebe Jane,\n\nschöne Grüße aus Köln!\n\nJörg\n"),
    "party.eml": ("31", "Ann Lee <ann@club.example>", "club", "Party: who brings what?",
                  "Salad, bread, lemonade?\n\nAnn\n", "Reply-To: party@club.example\n"),
    "question.eml": ("8", "Tom Reed <tom@reed.example>", "shop", "A question about your offer",
                     "Is the bicycle still for sale?\n\nTom\n"),
    # sent by nobody: <>
    "bounce.eml": ("0815", "Mail Delivery <MAILER-DAEMON@books.example>", "shop",
                   "Undelivered mail", "Your message to sales@books.example was not delivered.\n",
                   "Auto-Submitted: auto-replied\n"),
    "lesson.eml": ("77", "Music School <desk@music.example>", "omar", "Your lesson on Monday",
                   "See you on Monday at five.\n"),
    "welcome.eml": ("5", "Forum <hello@forum.example>", "lena", "Welcome to the forum",
                    "Good to have you here.\n"),
    "ticket.eml": ("660", "Railway <tickets@rail.example>", "shop", "Your ticket to Bergen",
                   "Seat 14, window.\n"),
    "recipe.eml": ("12", "Cookery <post@cookery.example>", "club", "The recipe you asked for",
                   "Two eggs, flour, milk.\n"),
    "survey.eml": ("404", "Survey <ask@survey.example>", "shop", "Two minutes of your time?",
                   "Twelve short questions.\n"),
    # held, since the account was over its limit
    "photos.eml": ("3301", "Photo Lab <lab@photo.example>", "shop", "Your photos are ready",
                   "48 prints, glossy. Please fetch them this month.\n"),
    "minutes.eml": ("32", "Ann Lee <ann@club.example>", "club", "Minutes of the meeting",
                    "Present: all of us. Decided: lemonade.\n\nAnn\n"),
    "seeds.eml": ("18", "Garden Shop <post@garden.example>", "shop", "Spring seeds are here",
                  "Beans, peas, sunflowers.\n"),
    "results.eml": ("9004", "Clinic <desk@clinic.example>", "sam", "Your results are ready",
                    "Please call us between nine and five.\n"),
    "walk.eml": ("9", "Tom Reed <tom@reed.example>", "club", "A walk on Sunday?",
                 "Ten o'clock, at the bridge?\n\nTom\n"),
    "keys.eml": ("71", "Landlord <house@rent.example>", "bank", "Handing over the keys",
                 "Friday at four.\n"),
    "deposit.eml": ("72", "Landlord <house@rent.example>", "bank", "Your deposit",
                    "It is on its way.\n"),
    # judged to be spam
    "pills.eml": ("1", "Best Pills <win@pills.example>", "shop", "Cheapest pills ever",
                  "Click!\n"),
    "prize.eml": ("2", "Lottery <you@prize.example>", "club", "You have won",
                  "Send us your PIN.\n"),
    "watch.eml": ("3", "Watches <sale@watch.example>", "shop", "Watches at 90 % off", "Buy!\n"),
    "offer.eml": ("4", "Offers <sale@offer.example>", "nils", "An offer", "Only today!\n"),
}
MESSAGES = {
    **{name: _plain(*row) for name, row in PLAIN.items()},
    "newsletter.eml": _message("4711", "Outdoor Shop <orders@outdoor.example>", "shop",
                               "Order 4711 is on its way", NEWSLETTER),
    "invoice.eml": _message("0917", "Print Works <billing@printer.example>", "shop",
                            "Invoice 0917", INVOICE),
    "statement.eml": SIGNED,
    "loop.eml": TRACE + _plain("1138", "Chess Club <news@circle.example>", "club",
                               "Fwd: Fwd: Chess results", "Round and round it goes.\n"),
}
