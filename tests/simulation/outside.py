"""The world outside: the relay, the endpoints of webhooks, and the DNS, as they are at each moment.

Whatever they answer follows from the seed, the time and who is asked, so two processes that ask the
same get the same answer. All that reaches them is written into a journal before the answer is
given, which a SIGKILL of the asking process leaves as it is.
"""
from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

from tests.support.product import IN_MEMORY, Answer, OneByOne, Response, Result


class Journal:
    """What reached the world outside, one JSON line each."""

    def __init__(self, path) -> None:
        self.path, self._read = Path(path), 0
        self.path.touch()

    def write(self, **entry) -> None:
        with self.path.open("ab", buffering=0) as file:
            file.write(json.dumps(entry).encode() + b"\n")

    def new(self) -> list[dict]:
        """What came since this was last asked."""
        with self.path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        self._read += len(data)
        return [json.loads(line) for line in data.splitlines()]


class Weather:
    """How things are: `relay` and `dns` have spells, as have single endpoints and domains."""

    def __init__(self, clock) -> None:
        self._clock = clock
        self.spells: dict[str, list[tuple]] = {}        # (from, to, how it is)

    def add(self, what: str, how: str, lasts: float, after: float = 0) -> None:
        """Something is so for so many seconds, from now on or after some."""
        start = self._clock.seconds + after
        self.spells.setdefault(what, []).append((start, start + lasts, how))

    def now(self, what: str, otherwise: str = "good") -> str:
        """How it is at this moment; the spell that was added last counts."""
        second = self._clock.seconds
        return next((how for start, end, how in reversed(self.spells.get(what, ()))
                     if start <= second < end), otherwise)


class Outside:
    """All of it; `weather` says how it is. Used in the processes of the product."""

    def __init__(self, seed: int, clock, strikes, weather: Weather, journal: Journal) -> None:
        self.seed, self.clock, self.strikes = seed, clock, strikes
        self.weather, self.journal = weather, journal
        self.mail, self.http, self.dns = Relay(self), Web(self), Zones(self)

    def chance(self, *about) -> float:
        """A number from 0 to 1 for this question at this second."""
        about = (self.seed, int(self.clock.seconds), *about)
        digest = hashlib.sha256(repr(about).encode()).digest()
        return int.from_bytes(digest[:6], "big") / 2 ** 48


class End:
    """One of the ends that the product has of them."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside


# How long one message takes, by the weather of the relay.
SECONDS = {"good": 0.3, "slow": 25.0, "silent": 65.0}
ANSWERS = {
    "refusing": Result("relay", None, "", "Connection refused"),
    "silent": Result("lost", None, "", "no answer within 60 seconds"),
    "over quota": Result("at MAIL", 452, "4.3.2", "Domain alias.example has exceeded the max "
                         "emails per hour (125/100 (125%)) allowed"),
    "blocking": Result("final", 554, "5.7.1", "blocked using a list of bad senders"),
    "denied": Result("relay", 535, "5.7.8", "authentication failed")}


# What else it says of a mailbox, by the nature of that, which its name tells.
OF_MAILBOXES = {
    "gone": Result("final", 550, "5.1.1", "no such user here"),
    "full": Result("retry", 452, "4.2.2", "mailbox full"),
    "flaky": Result("retry", 451, "4.7.1", "greylisted, try again later")}
SENT = Result("sent", 250, "2.0.0", "queued")


class Relay(End):
    """A mail relay. What it accepts is a copy in the journal."""

    def send(self, envelope, message, _deadline, item_id) -> Result:
        outside = self._outside
        outside.strikes.reached("message", 0)
        now = outside.weather.now("relay")
        outside.clock.sleep(SECONDS.get(now, SECONDS["good"]))
        answer = ANSWERS.get(now)
        if answer is None and message.path is not IN_MEMORY and not os.path.exists(message.path):
            return Result("final", None, "", "the stored message is missing")
        raw = message.head + (b"" if message.path is IN_MEMORY else Path(message.path).read_bytes())
        # not by its id: a database may leave gaps between them
        subject = re.findall(rb"(?im)^subject: ([^\r]*)", raw.replace(b"\r\n ", b" "))[0]
        about = envelope.recipient, subject.decode("ascii", "replace")
        nature = envelope.recipient.partition("@")[0].rpartition("-")[2]
        if nature == "flaky" and outside.chance(*about) >= 0.5:
            nature = "good"
        answer = answer or OF_MAILBOXES.get(nature, SENT)
        if answer.outcome == "sent" and now == "breaking" and outside.chance("dot", *about) < 0.3:
            answer = Result("uncertain", None, "", "the connection broke after the message")
        outside.journal.write(
            what="mail", item=str(item_id), to=envelope.recipient, outcome=answer.outcome,
            at=int(outside.clock.seconds), digest=hashlib.sha256(raw).hexdigest()[:16])
        if answer.outcome in ("sent", "uncertain"):
            outside.strikes.reached("message", 1)
        return answer

    def close(self) -> None:
        """Nothing is open."""


class Web(End):
    """The endpoints of webhooks: a host's name tells its nature, its spells say the rest."""

    def post(self, request) -> Response:
        outside = self._outside
        outside.strikes.reached("request", 0)
        host = request.url.split("/")[2]
        now = outside.weather.now(host, outside.weather.now("network"))
        outside.clock.sleep({"silent": 10.0}.get(now, 0.2))
        answer = {
            "silent": Response("failed", text="no answer in time"),
            "away": Response("failed", text="connection refused"),
            "broken": Response("answered", 500, excerpt="oops"),
            "gone": Response("answered", 410, excerpt="gone"),
            "busy": Response("answered", 429, retry_after="5400"),
        }.get(now, Response("answered", 204))
        headers = {name.lower(): value for name, value in request.headers}
        outside.journal.write(what="request", item=str(request.item_id), url=request.url,
                              id=headers.get("webhook-id"), status=answer.status,
                              at=int(outside.clock.seconds))
        if answer.status:
            outside.strikes.reached("request", 1)
        return answer


class Zones(End, OneByOne):
    """The DNS of users' domains: `right` or `wrong`, by the weather of their names."""

    def look_up(self, name: str, kind: str) -> Answer:
        weather = self._outside.weather
        if weather.now("dns") == "silent":
            return Answer("unknown", why="no name server answered")
        labels = name.split(".")
        domain = ".".join(labels[-2:])
        how = "missing" if weather.now("dns") == "lying" else weather.now(domain, "missing")
        if name == domain and kind in ("TXT", "MX"):
            self._outside.journal.write(what="dns", item=domain, kind=kind, outcome=how,
                                        at=int(self._outside.clock.seconds))
        if how == "missing":
            return Answer("nxdomain")
        records = {"TXT": f"porter-verify=token-{labels[-2]}", "MX": (10, "mx1.service.example")}
        if name != domain or how == "wrong" or kind not in records:
            return Answer("nodata")
        return Answer("found", (records[kind],))
