"""The raw messages of the demo's service, as its mail hook has stored them."""
from __future__ import annotations

import os
from email.utils import format_datetime

from jobs_lib.folders import new_file

HOPS = 51                # Received lines of a message that goes round in a circle
# {file: (sender, name of the sender, alias, subject, body)}
MESSAGES = {
    "order.eml": ("orders@outdoor.example", "Outdoor Shop", "shop", "Order 4711 is on its way",
                  "Two boots, waterproof.\n"),
    # an encoded subject, and a body of 8 bits
    "greetings.eml": ("joerg@koeln.example", "Joerg", "shop",
                      "=?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=", "Schöne Grüße aus Köln!\n"),
    "bounce.eml": ("MAILER-DAEMON@books.example", "Mail Delivery", "shop", "Undelivered mail",
                   "Your message to sales@books.example was not delivered.\n"),
    "party.eml": ("ann@club.example", "Ann Lee", "club", "Party: who brings what?",
                  "Salad, bread, lemonade?\n"),
    "loop.eml": ("news@circle.example", "Chess Club", "club", "Fwd: Fwd: Chess results",
                 "Round and round it goes.\n"),
    "lesson.eml": ("desk@music.example", "Music School", "omar", "Your lesson on Monday",
                   "See you on Monday at five.\n"),
    "welcome.eml": ("hello@forum.example", "Forum", "lena", "Welcome to the forum",
                    "Good to have you here.\n"),
    "recipe.eml": ("post@cookery.example", "Cookery", "club", "The recipe you asked for",
                   "Two eggs, flour, milk.\n"),
    "survey.eml": ("ask@survey.example", "Survey", "shop", "Two minutes of your time?",
                   "Twelve short questions.\n"),
    # held, since the account was over its limit
    "photos.eml": ("lab@photo.example", "Photo Lab", "shop", "Your photos are ready",
                   "48 prints, glossy. Please fetch them this month.\n"),
    "seeds.eml": ("post@garden.example", "Garden Shop", "shop", "Spring seeds are here",
                  "Beans, peas, sunflowers.\n"),
    "results.eml": ("desk@clinic.example", "Clinic", "sam", "Your results are ready",
                    "Please call us between nine and five.\n"),
    "walk.eml": ("tom@reed.example", "Tom Reed", "club", "A walk on Sunday?",
                 "Ten o'clock, at the bridge?\n"),
    "keys.eml": ("house@rent.example", "Landlord", "club", "Handing over the keys",
                 "Friday at four.\n"),
    # judged to be spam
    "pills.eml": ("win@pills.example", "Best Pills", "shop", "Cheapest pills ever", "Click!\n"),
    "prize.eml": ("you@prize.example", "Lottery", "club", "You have won", "Send us your PIN.\n"),
    "offer.eml": ("sale@offer.example", "Offers", "nils", "An offer", "Only today!\n"),
}


def raw(name: str, received) -> bytes:
    """The message of this name that came in at `received` (aware datetime), with CRLF line ends."""
    sender, display, alias, subject, body = MESSAGES[name]
    date = format_datetime(received)
    hops = HOPS if name == "loop.eml" else 1
    trace = "".join(f"Received: from mx.{sender.partition('@')[2]} by mx{hop}.alias.example;\n"
                    f" {date}\n" for hop in range(hops))
    text = (f"{trace}Date: {date}\nMessage-ID: <{name}.{sender}>\nFrom: {display} <{sender}>\n"
            f"To: {alias}@alias.example\nSubject: {subject}\nMIME-Version: 1.0\n"
            f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{body}")
    return text.replace("\n", "\r\n").encode("utf-8")


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
