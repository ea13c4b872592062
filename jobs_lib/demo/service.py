"""The sample service itself: five owners, their aliases, and forwards in every state that a row can
be in."""
from __future__ import annotations

import os
from collections import namedtuple
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.folders import private
from jobs_lib.features.forwards.headers import header_text, read_headers
from . import closed, domains, hooks, keeping, letters, records
from .messages import store

HOME, WORK = "jane@home.example", "jane@work.example"

Row = namedtuple("Row",
                 "owner alias to sender file status attempts age next code said finished told",
                 defaults=("pending", 0, None, None, None, None, None, False))
Row.__doc__ = """One row of failed_emails; ages count back from now, `next` forward.

file      of `messages.MESSAGES`; another name is a file that is not there
attempts  retries made           age       since the mail hook could not deliver it
next      until its next retry   finished  since it was sent or failed
told      whether its owner was told
"""


_ago = timedelta
# as retry_forwards waits by default
DELAYS = (_ago(hours=1), _ago(hours=6), _ago(hours=24), _ago(hours=48))
GREYLISTED, NO_ANSWER = "4.7.1 Greylisted, please try again later", "no answer from mx.home.example"

ROWS = (
    # due
    Row("jane", "shop", HOME, "orders@outdoor.example", "newsletter.eml", age=_ago(minutes=64)),
    Row("jane", "shop", HOME, "joerg@koeln.example", "greetings.eml", age=_ago(minutes=61)),
    Row("jane", "shop", HOME, "billing@printer.example", "invoice.eml", attempts=1, age=_ago(hours=7, minutes=9),
        next=-_ago(minutes=4), code=451, said=GREYLISTED),
    Row("jane", "bank", HOME, "service@northwind.example", "statement.eml", attempts=2, age=_ago(hours=31, minutes=6),
        next=-_ago(minutes=2), said=NO_ANSWER),
    # exactly at its first delay
    Row("jane", "shop", HOME, "", "bounce.eml", age=_ago(hours=1)),
    # two recipients of one message: the file goes when neither needs it any more
    Row("jane", "club", HOME, "ann@club.example", "party.eml", attempts=1, age=_ago(hours=7, minutes=3),
        next=-_ago(minutes=1), code=451, said=GREYLISTED),
    Row("jane", "club", WORK, "ann@club.example", "party.eml", attempts=1, age=_ago(hours=2),
        next=_ago(hours=5), code=452, said="4.2.2 Mailbox full"),
    # not due yet
    Row("jane", "shop", HOME, "tom@reed.example", "question.eml", age=_ago(minutes=20)),
    # due, and refused for good: their owner is told
    Row("jane", "club", HOME, "news@circle.example", "loop.eml", attempts=3, age=_ago(hours=79, minutes=5),
        next=-_ago(minutes=3), code=451, said=GREYLISTED),
    Row("jane", "club", HOME, "desk@library.example", "lost.eml", attempts=1, age=_ago(hours=7, minutes=2),
        next=-_ago(minutes=1), said=NO_ANSWER),
    # due, but not for their owners
    Row("omar", "omar", "omar@home.example", "desk@music.example", "lesson.eml", age=_ago(hours=2)),
    Row("lena", "lena", "lena@home.example", "hello@forum.example", "welcome.eml", age=_ago(hours=2)),
    # finished
    Row("jane", "shop", HOME, "tickets@rail.example", "ticket.eml", "sent", 1, age=_ago(hours=4),
        finished=_ago(hours=3)),
    Row("jane", "club", WORK, "post@cookery.example", "recipe.eml", "sent", 2, age=_ago(days=10),
        finished=_ago(days=9)),
    Row("jane", "shop", WORK, "ask@survey.example", "survey.eml", "failed", 2, age=_ago(days=9), code=550,
        said="5.1.1 No such user here", finished=_ago(days=8), told=True),
    Row("jane", "shop", WORK, "ask@survey.example", "survey.eml", "failed", 1, age=_ago(days=3), code=550,
        said="5.1.1 No such user here", finished=_ago(days=2), told=True),
)


def fill(db, spool: str, now, hooks_url: str = hooks.URL) -> None:
    """Put rows into every table that a job looks at, and the raw messages into the spool folder.

    hooks_url: what the addresses of its webhook endpoints begin with.
    """
    private(spool)
    with db.transaction():
        owners = _owners(db, now)
        aliases, destinations = _addresses(db, now, owners)
        for row in ROWS:
            _forward(db, now, row, owners[row.owner], aliases[row.alias], destinations[row.to],
                     store(spool, row.file, now - row.age))
        keeping.fill(db, spool, now, owners, aliases)
        records.fill(db, now, owners, aliases, destinations)
        hooks.fill(db, now, owners, hooks_url)
        letters.fill(db, now, owners)
        domains.fill(db, now, owners["jane"])
        closed.fill(db, spool, now, owners)


def _owners(db, now) -> dict:
    since = now - timedelta(days=200)
    return {
        "jane": db.insert("users", email="jane@home.example", name="Jane Miller", created_at=since),
        "omar": db.insert("users", email="omar@home.example", name="Omar Haddad",
                          status="suspended", created_at=since),
        "sam": db.insert("users", email="sam@home.example", name="Sam Okoro", created_at=since,
                         log_retention_days=30),
        "lena": db.insert("users", email="lena@home.example", name="Lena Vogt", status="deleted",
                          created_at=since, deleted_at=now - timedelta(minutes=30)),
        "nils": db.insert("users", email="nils@home.example", name=records.GONE, status="deleted",
                          created_at=since, deleted_at=now - timedelta(days=9)),
    }


def _addresses(db, now, owners: dict) -> tuple[dict, dict]:
    aliases, destinations = {}, {}
    for row in ROWS:
        user_id, since = owners[row.owner], now - timedelta(days=199)
        if row.alias not in aliases:
            aliases[row.alias] = db.insert("aliases", user_id=user_id,
                                           address=f"{row.alias}@alias.example", created_at=since)
        if row.to not in destinations:
            destinations[row.to] = db.insert("destinations", user_id=user_id, email=row.to,
                                             verified_at=since, created_at=since)
        db.upsert("alias_destinations", {"alias_id": aliases[row.alias],
                                         "destination_id": destinations[row.to]})
    aliases["sam"] = db.insert("aliases", user_id=owners["sam"], address="sam@alias.example",
                               created_at=since)
    return aliases, destinations


def _forward(db, now, row: Row, user_id: int, alias_id: int, destination_id: int,
             size: int) -> None:
    def back(age):
        return None if age is None else now - age
    last = row.finished
    if row.next is not None:
        last = DELAYS[row.attempts] - row.next
    db.insert("failed_emails", user_id=user_id, alias_id=alias_id, destination_id=destination_id,
              envelope_from=row.sender, envelope_to=row.to, raw_path=row.file, size_bytes=size,
              status=row.status, attempts=row.attempts, next_attempt_at=None if row.next is None
              else now + row.next, last_attempt_at=back(last), last_code=row.code,
              last_error=row.said, created_at=now - row.age, finished_at=back(row.finished),
              told_at=back(row.finished) if row.told else None)


def snapshot(db, spool: str, before: dict | None = None) -> dict:
    """{id: row} of all forwards as they are now, with `owner` (its status), `subject` and whether
    the file `is_there`.

    `next_attempt_at` is given for rows that were never tried, too: the first delay after they came
    in. A row of the snapshot `before` that is no longer in the table has the status `deleted`.
    """
    owners = {row["id"]: row["status"] for row in db.query("SELECT id, status FROM {users}")}
    rows = db.query("SELECT id, user_id, raw_path, status, attempts, next_attempt_at, last_error, "
                    "created_at,"
                    " finished_at, notice_id FROM {failed_emails} ORDER BY id")
    for row in rows:
        path = os.path.join(spool, row["raw_path"])
        row["owner"], row["is_there"] = owners[row["user_id"]], os.path.exists(path)
        row["subject"] = header_text(read_headers(path), "Subject") if row["is_there"] else ""
        row["next_attempt_at"] = row["next_attempt_at"] or clock.text(clock.parse(row["created_at"])
                                                                      + DELAYS[0])
    now_there = {row["id"]: row for row in rows}
    for number, row in (before or {}).items():
        now_there.setdefault(number, {**row, "status": "deleted",
                                      "is_there": os.path.exists(os.path.join(spool,
                                                                              row["raw_path"]))})
    return now_there


def originals(db, spool: str) -> dict:
    """{id: raw bytes} of the forwards that wait, and whose file is there."""
    found = {}
    for row in db.query("SELECT id, raw_path FROM {failed_emails} WHERE status = 'pending' "
                        "ORDER BY id"):
        path = os.path.join(spool, row["raw_path"])
        if os.path.exists(path):
            with open(path, "rb") as file:
                found[row["id"]] = file.read()
    return found


def delivered(maildir: str, originals: dict) -> dict:
    """{id: (path, lines put before it, whether the rest is the original byte for byte)} of what was
    delivered.

    `originals`: {id: the raw bytes that waited in the spool}.
    """
    found = {}
    for number, original in originals.items():
        path = os.path.join(maildir, "new", f"forward-{number}.jobs")
        if os.path.exists(path):
            with open(path, "rb") as file:
                content = file.read()
            head = content[:len(content) - len(original)]
            found[number] = (path, head.decode("utf-8", "replace").splitlines(), content[len(head):]
                             == original)
    return found
