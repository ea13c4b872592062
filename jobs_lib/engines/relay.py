"""What we know of the relay, by one row and by the attempts that all processes have in common.

Limits: a host discards mail over its hourly limit, sometimes after having said 250, so we count for
ourselves: the attempts on record in each rolling window, in the commit that begins the next one,
under the lock of the one row of `relay_state`. A run counts once, then adds what has begun since,
and counts again when a limit seems reached. A share of each limit is reserved for urgent mail. Of
the rest either queue of mail leaves the other half of an hour's and a day's while that has due
rows.

Pauses: it cannot be used for now, so all mail waits.

Refusals: a relay that refuses a message for good may mean the address, or us. So a refusal is asked
for twice: the row keeps its schedule, and the next refusal ends it if, of the other recipients that
were tried since the first one, one in four was accepted. Where the recipient's domain has accepted
mail to somebody else lately, only that domain counts, so that a provider that refuses us is seen
beside others that do not.
"""
from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import takewhile

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.records import namedtuple

from . import attempts
from .attempts import BY_HAND, NOT_COUNTED, REFUSED, REPLAYED, SENDING, SENT
from .due import CLOCKS_DIFFER

WINDOWS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
URGENT_SHARE = 10                       # percent of a limit that only urgent mail may use
SECOND = timedelta(seconds=1)           # times are stored in whole ones
KINDS = ("forward", "notification", BY_HAND)            # of attempts that are counted
MINUTE, FAILURES = "minute", "failures"
# SQL: an attempt in a window. One from the future is of a wrong clock
IN_WINDOW = "kind IN (:kinds) AND began_at > :since AND began_at <= :future"
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=1)
LATELY = timedelta(days=30)             # so long a domain is known to accept mail from us
LOOKED_AT = 50                          # attempts of others, at most
OWN = 100                               # attempts of the row itself
ONE_IN = 4                              # was accepted at least: it is the recipient
# an incident: so many recipients of so many owners were refused, among the latest of each kind
RECIPIENTS, OWNERS = 5, 2
LATEST, RECENT = 500, timedelta(days=3)
EVERYBODY = "everybody"
# SQL: answers of a domain, and of all
OF_DOMAIN = tuple(f"domain = :domain AND outcome = '{outcome}'" for outcome in (SENT, REFUSED))
OF_ALL = tuple(f"kind = '{kind}' AND began_at >= :since AND began_at <= :until "
               f"AND outcome IN ('{SENT}', '{REFUSED}') AND domain IS NOT NULL"
               for kind in ("forward", "notification"))

Refusal = namedtuple("Refusal", "limit words")
Refusal.__doc__ = """Why a message may not go now: the `limit` is `minute`, `hour`, `day`, or
FAILURES, by which what has failed before has to wait; `words` are a reason for a run to stop."""
Refusing = namedtuple("Refusing", "domain since recipients answer")
Refusing.__doc__ = """Who refuses everybody: a `domain`, or EVERYBODY for the relay; `since` when,
how many `recipients` it was, and the first `answer`."""


# Limits

class Limits:
    """What may still be handed over. `mail`: the section; `clock()`: the present time;
    `others_wait()`: whether mail is due in the other queue of mail, asked once it matters."""

    def __init__(self, db, mail, clock, kind: str, others_wait=lambda: False) -> None:
        self.db, self.mail, self.clock, self.kind = db, mail, clock, kind
        self.others_wait = others_wait
        self.limits = {name: limit for name in WINDOWS
                       if (limit := getattr(mail, f"per_{name}")) is not None}
        self.used: dict[str, Counter] = {}      # {window: {(kind, urgent): attempts in it}}
        self._last = 0                          # the highest id that was counted

    def room(self, urgent: bool, ahead: bool = False, failed_before: bool = False):
        """Why one more may not go now, inside the transaction that begins it; None: it may.
        `ahead`: it would be out of its turn, by the share of urgent mail alone."""
        if not self.limits and self.mail.failures_per_hour is None:
            return None
        # until the end of the transaction; SQLite's has locked everything as it began
        if self.db.for_update and not self.db.row(
                f"SELECT id FROM {{relay_state}} WHERE id = 1{self.db.for_update}"):
            self.db.upsert("relay_state", {"id": 1}, {"id": 1})
        if failed_before and (reason := failures(self.db, self.mail, self.clock())):
            return Refusal(FAILURES, reason)
        if self.used:
            self._count_new()
        if not self.used or self.refusal(urgent, ahead):
            self.count()
        return self.refusal(urgent, ahead)

    def refusal(self, urgent: bool, ahead: bool = False) -> Refusal | None:
        """The same by what was counted, for who only looks."""
        for name, limit in self.limits.items():
            if reason := self._why_not(name, limit, urgent, ahead):
                words = f"[mail] per_{name} = {getattr(self.mail, f'per_{name}')}{reason}"
                return Refusal(name, words)
        return None

    def _why_not(self, name: str, limit: int, urgent: bool, ahead: bool) -> str:
        used, reserve = self.used[name], limit * URGENT_SHARE // 100
        total = sum(used.values())
        urgent_used = sum(number for (_, is_urgent), number in used.items() if is_urgent)
        if total >= limit:
            return " is reached"
        if urgent and urgent_used < reserve:
            return ""
        if ahead:
            return ": what is reserved for urgent mail is used"
        from_reserve = min(urgent_used, reserve)
        if total - from_reserve >= limit - reserve:
            return f" is reached, except {reserve - from_reserve} reserved for urgent mail"
        if name == MINUTE or self.kind == BY_HAND:
            return ""
        mine = used[self.kind, False] + max(used[self.kind, True] - reserve, 0)
        if mine >= max((limit - reserve) // 2, 1) and self.others_wait():
            return ": the rest is reserved for the other queue of mail, which has due rows"
        return ""

    def count(self) -> None:
        """Count the attempts in each window."""
        self._last = self.db.value("SELECT MAX(id) FROM {attempts}") or 0
        for name in self.limits:
            rows = self.db.query(
                f"SELECT kind, urgent, COUNT(*) AS number FROM {{attempts}} WHERE {IN_WINDOW} "
                f"AND outcome NOT IN {NOT_COUNTED} GROUP BY kind, urgent",
                **_within(WINDOWS[name], self.clock()))
            self.used[name] = Counter({(row["kind"], bool(row["urgent"])): row["number"]
                                       for row in rows})

    def _count_new(self) -> None:
        """Add those that have begun since."""
        for row in self.db.query("SELECT id, kind, urgent, outcome FROM {attempts} "
                                 "WHERE id > :last", last=self._last):
            self._last = max(self._last, row["id"])
            if row["kind"] in KINDS and row["outcome"] not in NOT_COUNTED:
                self.add(row["kind"], bool(row["urgent"]))

    def add(self, kind: str, urgent: bool) -> None:
        """One more was handed over."""
        for used in self.used.values():
            used[kind, urgent] += 1


def _within(span: timedelta, now) -> dict:
    """The values of IN_WINDOW."""
    return {"kinds": KINDS, "since": now - span - SECOND, "future": now + CLOCKS_DIFFER}


def used(db, mail, now) -> dict[str, tuple[int, int]]:
    """{`minute`, `hour`, `day`: (recipients in it, the limit)} of the limits that are set."""
    limits = Limits(db, mail, lambda: now, BY_HAND)
    limits.count()
    return {name: (sum(limits.used[name].values()), limit)
            for name, limit in limits.limits.items()}


def failures(db, mail, now) -> str | None:
    """Why what failed before has to wait. What is being sent counts until more is known."""
    limit = mail.failures_per_hour
    if limit is None or limit > db.value(
            f"SELECT COUNT(*) FROM (SELECT 1 AS one FROM {{attempts}} WHERE {IN_WINDOW} "
            f"AND outcome IN ('retry', 'refused', '{SENDING}') LIMIT :limit) found", limit=limit,
            **_within(WINDOWS["hour"], now)):
        return None
    return f"[mail] failures_per_hour = {limit} is reached"


def not_failed(delays: tuple) -> str:
    """SQL of rows that have not failed before. Where the first attempt is not made at once, an app
    has made one."""
    return " AND 0 = 1" if delays[0] else " AND COALESCE(attempts, 0) = 0"


def holds(ctx, mail, kind: str, others_wait) -> list[str]:
    """Sentences: why no message of a kind, but an urgent one, goes now. `mail`: the section."""
    found = []
    if pause := paused(ctx.db, ctx.now):
        found.append(f"The relay is paused {pause}. Once it works, "
                     "`jobs.py mail test ADDRESS` ends the pause.")
    limits = Limits(ctx.db, mail, ctx.clock, kind, others_wait)
    limits.limits.pop(MINUTE, None)         # its room is waited for
    limits.count()
    if refusal := limits.refusal(urgent=False):
        found.append(f"{refusal.words}. There is room again within the {refusal.limit}.")
    if reason := failures(ctx.db, mail, ctx.now):
        found.append(f"{reason}: retries wait.")
    return found


def count(db, now, number: int = 1) -> None:
    """Put messages on record that were sent and belong to no queue, such as alerts."""
    for _ in range(number):
        db.insert("attempts", kind=BY_HAND, item_id=0, began_at=now, finished_at=now, outcome=SENT)


# Pauses

def pause_now(db, now) -> dict | None:
    """`until`, `reason` and `since`. One that is too long is by a wrong clock."""
    row = db.row("SELECT paused_until, reason, since FROM {relay_state} WHERE id = 1")
    until = row and stored.time(row["paused_until"])         # what is no time is no pause
    if not until or not now < until <= now + LONGEST_PAUSE:
        return None
    return {"until": until, "reason": row["reason"], "since": stored.time(row["since"]) or now}


def paused(db, now) -> str | None:
    """`until 12:05 UTC: reason` while the relay is paused."""
    row = pause_now(db, now)
    return f"until {clock.text(row['until'])} UTC: {row['reason']}" if row else None


def pause(db, now, reason: str, has_worked: bool) -> datetime:
    """Pause all mail for 5 minutes and as long as nothing has gone through by now, so for twice as
    long each time, up to an hour. Until when. After long without mail it begins anew."""
    failing = None if has_worked else stored.time(db.value(
        "SELECT since FROM {relay_state} WHERE id = 1 AND paused_until > :recent",
        recent=now - 2 * LONGEST_PAUSE))
    since = min(failing or now, now)        # a time ahead is of a wrong clock
    until = now + min(FIRST_PAUSE + (now - since), LONGEST_PAUSE)
    db.upsert("relay_state", {"id": 1}, {
        "paused_until": until, "reason": reason[:250], "since": since})
    return until


def works(db, until) -> None:
    """A message went through: the next failure starts with a short pause again. A pause that lasts
    longer stays: another process has begun it meanwhile."""
    db.execute("UPDATE {relay_state} SET paused_until = NULL, reason = NULL, since = NULL "
               "WHERE id = 1 AND since IS NOT NULL AND (paused_until IS NULL "
               "OR paused_until <= :until)", until=until)


# Refusals

def is_final(db, kind: str, row: dict, now) -> bool:
    """Whether a refusal ends the row, with its `recipient` (hash), `domain`, `attempt_id`."""
    first = None            # the first refusal of this recipient, before this one, since a replay
    for each in attempts.of_item(db, kind, row["id"], OWN):
        if each["outcome"] == REPLAYED:
            first = None
        elif (each["outcome"] == REFUSED and each["recipient"] == row["recipient"]
              and each["id"] != row["attempt_id"]):
            first = first or each
    if first is None:
        return False
    others = _latest(db, OF_DOMAIN, "id", LOOKED_AT, domain=row["domain"],
                     recipient=row["recipient"])
    lately = clock.text(now - LATELY)
    if not any(each["outcome"] == SENT and str(each["began_at"]) > lately for each in others):
        others = _latest(db, OF_ALL, "began_at", LOOKED_AT, since=first["began_at"],
                         until=now + CLOCKS_DIFFER, recipient=row["recipient"])
    since_then = [each for each in others if each["id"] > first["id"]][:LOOKED_AT]
    # each once, by its latest answer
    said = {each["recipient"]: each["outcome"] for each in reversed(since_then)}
    accepted = [*said.values()].count(SENT)
    return accepted > 0 and len(said) <= ONE_IN * accepted


def of_everybody(db, now) -> list[Refusing]:
    """Who refuses everybody now: the relay, or else single domains."""
    rows = _latest(db, OF_ALL, "began_at", LATEST, since=now - RECENT, until=now, recipient="")
    by_domain: dict = {}
    for row in rows:
        by_domain.setdefault(row["domain"], []).append(row)
    return _refusing(EVERYBODY, rows, domains=2) or [
        each for domain in sorted(by_domain)
        for each in _refusing(domain, by_domain[domain], domains=1)]


def _refusing(name: str, rows: list[dict], domains: int) -> list[Refusing]:
    """Whether it has accepted nothing since it has refused enough recipients, of enough owners, at
    so many domains."""
    refused = list(takewhile(lambda row: row["outcome"] == REFUSED, rows))
    number, owners, places = (len({row[name] for row in refused})
                              for name in ("recipient", "user_id", "domain"))
    if number < RECIPIENTS or owners < OWNERS or places < domains:
        return []
    first = refused[-1]
    return [Refusing(name, clock.parse(first["began_at"]), number, first["answer"] or "")]


def _latest(db, rules: tuple, order: str, most: int, **values) -> list[dict]:
    """Answers to others than the `recipient`, the latest first: `most` at most of each rule, which
    an index serves in this order."""
    rows = db.query(" UNION ALL ".join(
        "SELECT * FROM (SELECT id, recipient, user_id, domain, outcome, answer, began_at FROM "
        f"{{attempts}} WHERE {rule} AND recipient <> :recipient ORDER BY {order} DESC "
        f"LIMIT {most}) part_{number}" for number, rule in enumerate(rules)), **values)
    return sorted(rows, key=lambda row: row["id"], reverse=True)
