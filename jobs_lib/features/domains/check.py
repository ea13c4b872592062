"""Looking at the domains that are due: asking for their records, and storing what came of it, one
commit for each domain."""
from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

from jobs_lib import clock
from jobs_lib.database.values import INVALID
from jobs_lib.engines import attempts, audit
from jobs_lib.engines.due import Due
from jobs_lib.engines.queue import EVERY_ONE, Work, work_if_due
from jobs_lib.engines.rows import invalid
from jobs_lib.engines.turns import Ring
from jobs_lib.errors import Invalid, JobsError
from jobs_lib.features.queues import DOMAINS
from jobs_lib.hostnames import ascii_form, forms
from jobs_lib.text import counted, did_you_mean

from . import notices, records
from . import status as domain_rules
from .due import due
from .records import UNKNOWN, Wanted, unset
from .status import ACTIVE, FAIL, FAILED, FAILING, PASS, VERIFIED

AT_ONCE = 300                    # domains that are begun in one commit, and asked about together
SHOWN = 5                        # of them, by a dry run
HELD_FOR = timedelta(minutes=10) # what a killed run was looking at is due again then
# domains that are checked before the resolver itself is doubted
SUSPICIOUS = 10
LEFT_OUT_FOR = timedelta(days=1) # how long a domain with an unusable row waits
MOST_FAILURES = 2 ** 31 - 1      # one more is no number that the column takes
OF_ONE_OWNER = 2                 # domains of one owner that count as evidence
RESOLVER_DOWN = "resolver down"
CHANGED = "changed"              # the row, while its records were asked for
STORED = ("id, user_id, name, ownership_token, status, dns_results, failing_since, failures, "
          "warned_at, verified_at, created_at, next_check_at")
COUNTS = {VERIFIED: "verified", FAILING: "warned", FAILED: "failed"}


class Looks(Work):
    """One run's looks. They change nothing outside, so a domain has no status while one is under
    way: it is due later, and what a dead run began is due again by itself."""

    def due(self) -> Due:
        """What a run now would look at."""
        return due(self.ctx)

    def begin_all(self, rows: list[dict]) -> list[dict]:
        """Those that no other run has begun meanwhile, in one commit."""
        until = clock.text(self.ctx.clock() + HELD_FOR)

        def work() -> list[dict]:
            begun = [row for row in rows if self._move(row, row["seen"]["next_check_at"], until)]
            if begun and "turn" in begun[-1]:
                begun[-1]["turn"].ring.move(begun[-1]["turn"])
            return begun
        begun = self.db.batch(work)
        for row in begun:
            row["until"] = until
        return begun

    def give_back(self, rows: list[dict]) -> None:
        """They are as due as they were: the run had no time for them, or they are others by
        now."""
        def work() -> None:
            for row in rows:
                self._move(row, row["until"], row["seen"]["next_check_at"])
        if rows:
            self.db.batch(work)

    def _move(self, row: dict, seen, until) -> int:
        """Whether it was due at the time that was seen, and now is at the other."""
        timed = "IS NULL" if seen is None else "= :seen"
        return self.db.execute("UPDATE {domains} SET next_check_at = :until WHERE id = :id "
                               f"AND next_check_at {timed}", id=row["id"], until=until, seen=seen)

    def finish(self) -> None:
        """Those that cannot be worked on wait a day, and keep their status."""
        for id, reason in self.unusable.items():
            self.leave_out(id, reason)

    def leave_out(self, id, reason: str) -> None:
        """It cannot be worked on, and waits a day."""
        self.ctx.log.warning("domain invalid", domain_id=id, reason=reason)
        self.ctx.count(INVALID)
        self.postpone(id)

    def postpone(self, id) -> None:
        """It waits a day."""
        self.db.batch(lambda: self.db.execute(
            "UPDATE {domains} SET next_check_at = :later, recheck_requested_at = NULL "
            "WHERE id = :id", id=id, later=self.ctx.now + LEFT_OUT_FOR))


def preview(ctx) -> dict:
    """What a run would look at. Nobody is asked."""
    Looks(ctx, DOMAINS).count_unknown()
    ids = _named(ctx) if ctx.options.domain else due(ctx).ids(SHOWN)
    number = ctx.within_limit(len(ids) if ctx.options.domain else due(ctx).backlog(EVERY_ONE)[0])
    if number:
        rows = Looks(ctx, DOMAINS).read(ids)
        ctx.show(f"look at the records of {counted(number, 'domain')}",
                 [rows[id] for id in ids if id in rows][:min(number, SHOWN)])
    return {**ctx.counts, "checked": number}


def check_due(ctx) -> None:
    """Look at every domain that is due, owners in turn; or at the one that is named."""
    work = Looks(ctx, DOMAINS) if ctx.options.domain else work_if_due(ctx, DOMAINS, Looks)
    if work is None:
        return
    named = work.read(_named(ctx)) if ctx.options.domain else {}
    if not _may_judge(ctx):
        return
    ring, resolver, doubt, done = Ring(work), ctx.dns(), Doubt(ctx), 0
    ring.also = ACTIVE
    if named:
        work.unusable = invalid(ctx.db, "domains", list(named.values()))
        rows = [row for id, row in named.items() if id not in work.unusable]
        _check(work, resolver, ring, rows, doubt)
    else:
        while not ctx.should_stop(done) and (
                rows := work.take(ring, ctx.within_limit(AT_ONCE, done))):
            done += _check(work, resolver, ring, rows, doubt)
    work.finish()


def _named(ctx) -> list:
    """The ids of the domain that is named: several accounts may have it."""
    name = ctx.options.domain
    names = forms(name)
    ids = [row["id"] for row in ctx.db.query(f"SELECT id FROM {{domains}} WHERE name IN (:names)"
                                             f"{ACTIVE} ORDER BY id LIMIT :most", names=names,
                                             most=AT_ONCE)]
    if ids:
        return ids
    if ctx.db.row("SELECT id FROM {domains} WHERE name IN (:names) LIMIT 1", names=names):
        raise JobsError(f"--set domain={name}: its account is suspended or deleted, so it is not "
                        "looked at")
    near = [row["name"] for row in ctx.db.query(
        "SELECT name FROM {domains} WHERE name >= :start AND name < :end ORDER BY name LIMIT 200",
        start=name[:1].lower(), end=name[:1].lower() + "\U0010ffff")]
    raise JobsError(f"--set domain={name}: there is no such domain{did_you_mean(name, near)}")


def _may_judge(ctx) -> bool:
    """Whether `[dns]` says enough. If it does not, domains wait as they are: `doctor` and `config
    check` ask for it."""
    missing = unset(ctx.options.require, ctx.section("dns"))
    if missing and ctx.options.domain:
        raise JobsError(missing)
    if missing:
        ctx.log.warning("domains not checked", reason=missing)
        ctx.count("not_checked", due(ctx).backlog(EVERY_ONE)[0])
    return not missing


# Looking

def _check(work: Looks, resolver, ring: Ring, rows: list[dict], doubt: Doubt) -> int:
    """Ask for the records of these, and store each result as it comes. How many were begun."""
    ctx, items = work.ctx, []
    left = {row["id"]: row for row in work.begin_all(rows)}      # of which nothing is stored yet
    number = len(left)
    for row in list(left.values()):
        with _alone(work, row, left):
            if not 0 <= row["failures"] < MOST_FAILURES:
                raise Invalid("its failures are out of range")
            try:
                wanted = _wanted(ctx, row, ascii_form(row["name"]))
            except ValueError:
                if row["status"] == VERIFIED:
                    raise Invalid("its name is not that of a domain") from None
                _store(work, row, records.judge_bad_name(_wanted(ctx, row, row["name"])), left)
                continue
            items.append(((row, wanted), records.questions(wanted)))
    for (row, wanted), answers in resolver.each(items, ctx.should_stop):
        verdict = None
        with _alone(work, row, left):
            if isinstance(answers, Exception):
                raise answers
            results = records.judge(wanted, answers)
            heard = domain_rules.is_silent(row, ctx.now, ctx.options) and doubt.hears(resolver)
            verdict = _store(work, row, results, left, heard)
        more = {**ctx.counts}
        ctx.progress(more.pop("checked"), **more)
        if verdict and doubt.is_down(resolver, row["user_id"], verdict):
            ctx.log.warning("resolver down", checked=ctx.counts["checked"],
                            unknown=ctx.counts["unknown"])
            ctx.stop(RESOLVER_DOWN)
        if ctx.should_stop():
            break
    work.give_back(list(left.values()))
    # what was changed meanwhile is for the next run
    ring.left.difference_update(row["id"] for row in rows if row["id"] not in left)
    return number


@contextmanager
def _alone(work: Looks, row: dict, left: dict):
    """A row that is unusable, or that meets a bug of ours, holds up no other; it waits a day."""
    try:
        yield
    except Invalid as error:
        work.leave_out(row["id"], str(error))
        left.pop(row["id"], None)
    except JobsError:
        raise                           # the database's, for one: everybody's
    except Exception as error:          # noqa: BLE001  (recorded with its place, and the run fails)
        work.ctx.defect(error, f"domain {row['id']}")
        work.postpone(row["id"])
        left.pop(row["id"], None)


class Doubt:
    """Whether it is the resolver that gives no answers, and not the domains of somebody who wants
    it to look so."""

    def __init__(self, ctx) -> None:
        self._name = records.own_name(ctx.section("dns"))
        self._all: Counter = Counter()                  # {verdict: how many}
        self._fair: Counter = Counter()                 # the same, of each owner's first ones alone
        self._of: Counter = Counter()                   # {owner: how many}
        # our own name was answered: this many checks until the next time
        self._ask_from = 0
        self._hears: bool | None = None                 # what `hears` has found

    def hears(self, resolver) -> bool:
        """Whether anybody, or our own name, has an answer: the resolver works."""
        if self._hears is None:
            answered = self._all[PASS] + self._all[FAIL]
            self._hears = bool(answered) or resolver.look_up(self._name, "TXT").outcome != UNKNOWN
        return self._hears

    def is_down(self, resolver, owner: int, verdict: str) -> bool:
        """Heard after each look: over half unknown, among many owners or with our own name unknown,
        too."""
        self._all[verdict] += 1
        self._of[owner] += 1
        self._fair[verdict] += self._of[owner] <= OF_ONE_OWNER
        if not _is_suspicious(self._all):
            return False
        if _is_suspicious(self._fair):
            return True
        looks = sum(self._all.values())
        if looks < self._ask_from:
            return False
        self._ask_from = looks + SUSPICIOUS
        return resolver.look_up(self._name, "TXT").outcome == UNKNOWN


def _is_suspicious(verdicts: Counter) -> bool:
    looks = sum(verdicts.values())
    return looks >= SUSPICIOUS and verdicts[UNKNOWN] * 2 > looks


def _wanted(ctx, row: dict, name: str) -> Wanted:
    return Wanted(name, row["ownership_token"] or "", ctx.section("dns"), ctx.options.require)


def _store(work: Looks, row: dict, results: dict, left: dict, heard: bool = False) -> str | None:
    """The verdict, once it is stored. `heard`: whether the resolver has an answer for others."""
    ctx, verdict = work.ctx, records.verdict(results)
    event = work.db.batch(partial(_change, ctx, row, results, verdict, heard))
    if event == CHANGED:
        ctx.count(CHANGED)
        return None
    left.pop(row["id"])
    ctx.count("checked")
    ctx.count("unknown", verdict == UNKNOWN)
    if event:
        ctx.count(COUNTS[event])
    why = next((result["problem"] for result in results.values() if result["state"] == UNKNOWN),
               None)
    ctx.log.event("domain checked", domain_id=row["id"], verdict=verdict, change=event,
                  unanswered=why, wrong=_wrong(results))
    return verdict


def _wrong(results: dict) -> dict:
    return {check: result["reason"] for check, result in results.items()
            if result["state"] == FAIL}


def _change(ctx, seen: dict, results: dict, verdict: str, heard: bool) -> str | None:
    """In one transaction: judge the row as it is now, store, notify. The event, or CHANGED if it is
    another, or another run's by now."""
    row = ctx.db.row(f"SELECT {STORED} FROM {{domains}} WHERE id = :id AND next_check_at = :until"
                     f"{ctx.db.for_update}", id=seen["id"], until=seen["until"])
    if row and (reason := invalid(ctx.db, "domains", [row]).get(row["id"])):
        raise Invalid(reason)
    user = row and ctx.db.row("SELECT id, email, name, status FROM {users} WHERE id = :id",
                              id=row["user_id"])
    same = row and all(row[name] == seen[name] for name in ("user_id", "name", "ownership_token",
                                                            "status"))
    if not same or not user or user["status"] != "active":
        return CHANGED
    # fixed for the run: a slow one puts no domain off its rhythm
    now = ctx.now
    change = domain_rules.after(row, verdict, now, ctx.options, heard)
    if verdict == FAIL and not row["ownership_token"] and "ownership" in ctx.options.require:
        # its owner was never given a code, so it has lost nothing
        change = domain_rules.Change({"next_check_at": now + domain_rules.RECHECK}, None)
    if change.event in (FAILING, FAILED) and not ctx.may_expire():
        # both go by how long it has failed
        change = domain_rules.Change({"next_check_at": now + domain_rules.AGAIN}, None)
    values = {**change.values, "checked_at": now, "dns_results": _merged(row, results, now)}
    sets = ", ".join(f"{name} = :{name}" for name in values)
    ctx.db.execute(f"UPDATE {{domains}} SET {sets} WHERE id = :id", id=row["id"], **values)
    # the request is done, but not one that came in while we were asking
    ctx.db.execute("UPDATE {domains} SET recheck_requested_at = NULL WHERE id = :id"
                   " AND recheck_requested_at = :seen", id=seen["id"],
                   seen=seen["recheck_requested_at"])
    attempts.begin(ctx.db, DOMAINS.kind, {**row, "began_at": ctx.clock()}, ctx.run_id)
    attempts.complete(ctx.db, DOMAINS.kind, row, ctx.run_id, verdict,
                      attempts.Tried(answer=domain_rules.in_words(results)), ctx.clock())
    if change.event:
        notices.queue(ctx, user, row, change, results, now)
    if change.event in (VERIFIED, FAILED):
        audit.record(ctx.db, now=now, user_id=user["id"], event=f"domain.{change.event}",
                     severity="info" if change.event == VERIFIED else "warning",
                     details={"domain_id": row["id"], "name": row["name"], "was": row["status"],
                              "wrong": _wrong(results)})
    return change.event


def _merged(row: dict, results: dict, now) -> str:
    """What is stored: for a record that got no answer, what was known of it before, and since when
    nobody answers."""
    try:
        before = json.loads(row["dns_results"] or "{}")
    except (ValueError, TypeError):
        before = {}
    before = before if isinstance(before, dict) else {}
    moment, merged = clock.text(now), {}
    for check, result in results.items():
        known = before.get(check)
        known = known if isinstance(known, dict) else {}
        if result["state"] == UNKNOWN and known.get("state") in (PASS, FAIL):
            merged[check] = {**known, "required": result["required"], "unanswered": moment,
                             "unanswered_why": result["problem"]}
        else:
            merged[check] = {**result, "checked_at": moment}
    return json.dumps(merged, ensure_ascii=False)
