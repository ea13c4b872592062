"""Looking at the domains that are due: asking for their records, storing what came of it, and
notifying the owner."""
from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from typing import Any

from jobs_lib import clock
from jobs_lib.database.stored import INVALID
from jobs_lib.engines import attempts, guard
from jobs_lib.engines.attempts import POSTPONED, UNCERTAIN
from jobs_lib.engines.due import invalid
from jobs_lib.engines.queue import EVERY_ONE, Work, work_if_due
from jobs_lib.engines.turns import Ring
from jobs_lib.errors import JobsError
from jobs_lib.features import domains
from jobs_lib.features.notifications import notices, render
from jobs_lib.features.notifications.reminders import alone
from jobs_lib.features.queues import DOMAINS
from jobs_lib.ports.outcomes import UNKNOWN
from jobs_lib.text import counted
from jobs_lib.text.addresses import ascii_form, forms

from . import ACTIVE, FAIL, FAILED, VERIFIED, WARNED, due, records

AT_ONCE = 24                     # domains that are begun in one commit, and asked about together
SHOWN = 5                        # of them, by a dry run
HELD_FOR = timedelta(minutes=10)  # what a killed run was looking at is due again then
SAME = ("user_id", "name", "ownership_token", "status")  # else it is another domain by now
KIND_OF = {VERIFIED: "domain_verified", WARNED: "domain_failing", FAILED: "domain_failed"}
STORED = ", ".join(("id", *SAME, "dns_results", "failing_since", "failures", "warned_at",
                    "created_at"))


def preview(ctx) -> dict:
    """What a run would look at. Nobody is asked."""
    work, named = Looks(ctx, DOMAINS), _named(ctx)
    number = ctx.within_limit(len(named) or work.due.backlog(EVERY_ONE)[0])
    missing = number and records.unset(ctx.options.require, ctx.section("dns"))
    if missing:
        ctx.stop(missing)
    elif number:
        rows = [*work.read(named or work.due.ids(SHOWN)).values()]  # by an index, not in turns
        ctx.show(f"check the records of {counted(number, 'domain')}", rows[:min(number, SHOWN)])
    guard.stops(ctx, "domains")
    return {**ctx.counts, "not_checked" if missing else "checked": number}


def check_due(ctx) -> None:
    """Look at every domain that is due, owners in turn; or at the one that is named. Where `[dns]`
    does not say what records they need, they wait."""
    named = _named(ctx)
    if named:
        ctx.db.batch(lambda: ctx.db.execute(
            "UPDATE {domains} SET recheck_requested_at = :now WHERE id IN (:ids)", ids=named,
            now=ctx.now))
    work = work_if_due(ctx, DOMAINS, Looks)
    if work is None:
        return
    if missing := records.unset(ctx.options.require, ctx.section("dns")):
        if named:
            raise JobsError(missing)
        ctx.stop(missing)
        ctx.count("not_checked", work.due.backlog(EVERY_ONE)[0])
        return
    ring, work.resolver, done = Ring(work), ctx.ports().dns(ctx.section("dns")), 0
    if named:
        work.also, work.values = f"{ACTIVE} AND id IN (:named)", {"named": named}
    while not ctx.should_stop(done) and (
            rows := work.take(ring, ctx.within_limit(AT_ONCE, done))):
        done += work.look_at(rows)
    work.finish()


def _named(ctx) -> list:
    """The ids of the domain that is named, if one is: several accounts may have it."""
    name = ctx.options.domain
    if not name:
        return []
    found = ctx.db.query(
        f"SELECT id FROM {{domains}} WHERE name IN (:names){ACTIVE} ORDER BY id LIMIT :most",
        names=forms(name), most=AT_ONCE)
    if not found:
        raise JobsError(f"--set domain={name}: no active account has this domain")
    return [row["id"] for row in found]


class Looks(Work):
    """One run's looks. They change nothing outside, so a domain has no status while one is under
    way: it is due later, and what a dead run began is due again by itself."""

    resolver: Any = None  # opened once something is due
    also = ACTIVE

    def __init__(self, ctx, queue) -> None:
        super().__init__(ctx, queue, due(ctx))

    def usable(self, turns: list) -> list[dict]:
        """Those that can be asked about, each with what its records have to be as `wanted`."""
        found, dns = super().usable(turns), self.ctx.section("dns")
        for row in found:
            try:
                row["wanted"] = records.checks(ascii_form(row["name"]), row["ownership_token"], dns)
            except ValueError:
                self.unusable[row["id"]] = "its name is not a domain name"
            if not row["ownership_token"] and records.OWNERSHIP in self.ctx.options.require:
                self.unusable[row["id"]] = "it has no ownership_token"
        return [row for row in found if row["id"] not in self.unusable]

    def look_at(self, rows: list[dict]) -> int:
        """Ask for the records of these, and store each result. How many were begun."""
        ctx = self.ctx
        begun = self.db.batch(partial(self._begin_all, rows))
        items = [(row, records.questions(row["wanted"])) for row in begun]
        for row, answers in self.resolver.each(items, ctx.should_stop):
            with alone(ctx, row["id"], "domain"):
                if isinstance(answers, Exception):
                    raise answers
                self._judge(row, answers)
            ctx.progress(ctx.counts["checked"], unknown=ctx.counts["unknown"])
            if ctx.should_stop():
                break
        # the others are due again soon
        self.db.batch(partial(attempts.settle_open, self.db, DOMAINS.kind,
                              [row["id"] for row in begun], POSTPONED, ctx.clock()))
        return len(begun)

    def _begin_all(self, rows: list[dict]) -> list[dict]:
        """Those that no other run has begun meanwhile: in one commit they are due again in ten
        minutes, and these looks are on record."""
        now = self.ctx.clock()
        until = clock.text(now + HELD_FOR)
        begun = [row for row in rows if self.db.execute(
            "UPDATE {domains} SET next_check_at = :until WHERE id = :id "
            "AND (next_check_at IS NULL OR next_check_at = :seen)", id=row["id"], until=until,
            seen=row["seen"])]
        attempts.settle_open(self.db, DOMAINS.kind, [row["id"] for row in begun], UNCERTAIN, now)
        for row in begun:
            row.update(until=until, began_at=clock.text(now))
            row["attempt_id"] = attempts.begin(self.db, DOMAINS.kind, row, self.ctx.run_id)
            row["turn"].ring.move(row["turn"])
        return begun

    def _judge(self, row: dict, answers: dict) -> None:
        """Store what the answers say."""
        results = records.judge(row["wanted"], answers, self.ctx.section("dns"),
                                self.ctx.options.require)
        verdict = records.verdict(results)
        self.db.batch(partial(self._store, row, results, verdict, self._may_act(row, verdict)))

    def _may_act(self, row: dict, verdict: str) -> bool:
        """Whether its owner may be warned, or it may fail, if it comes to that. Asked before the
        transaction, since the guard counts, and a resolver takes its time."""
        ctx = self.ctx
        if domains.after(row, verdict, ctx.now, ctx.options)[1] not in (WARNED, FAILED):
            return True
        if row["status"] == VERIFIED and guard.stops(ctx, "domains"):
            return False
        # where a name of ours gets no answer either, the fault is not this domain's
        ours = (*ctx.section("dns").mx_hosts, ".")[0]
        return ctx.may_expire() and (
            verdict == FAIL or self.resolver.look_up(ours, "MX").outcome != UNKNOWN)

    def _store(self, seen: dict, results: dict, verdict: str, may_act: bool) -> None:
        """In one transaction: judge the row as it is now, store, notify."""
        ctx, db, found = self.ctx, self.db, domains.in_words(results)
        row = db.row(f"SELECT {STORED} FROM {{domains}} WHERE id = :id AND next_check_at = :until"
                     f"{ACTIVE}{db.for_update}", id=seen["id"], until=seen["until"])
        if not row or invalid(db, "domains", [row]) or any(row[name] != seen[name]
                                                           for name in SAME):
            ctx.count("changed")  # it is another, or another run's, by now
            return
        is_failing = verdict == FAIL and row["status"] == VERIFIED
        # `now` is fixed for the run: a slow one puts no domain off its rhythm
        values, event = domains.after(row, verdict, ctx.now, ctx.options,
                                     is_failing and _is_warned(ctx, row), may_act)
        values["checked_at"] = ctx.now
        if ctx.now < ctx.trusted and values.get("failing_since"):
            del values["failing_since"]
        if verdict != UNKNOWN or not row["dns_results"]:
            values["dns_results"] = json.dumps(results, ensure_ascii=False)
        db.execute(f"UPDATE {{domains}} SET {', '.join(f'{name} = :{name}' for name in values)} "
                   "WHERE id = :id", id=row["id"], **values)
        # the request is done, but not one that came in while we were asking
        db.execute("UPDATE {domains} SET recheck_requested_at = NULL WHERE id = :id "
                   "AND recheck_requested_at = :seen", id=row["id"],
                   seen=seen["recheck_requested_at"])
        attempts.complete(db, DOMAINS.kind, seen, ctx.run_id, verdict, None, found, ctx.clock())
        if event:
            user = db.row("SELECT id, email, name FROM {users} WHERE id = :id", id=row["user_id"])
            about = _values(ctx, row, event, values.get("failing_since"), results)
            kind = KIND_OF[event]
            notices.notify(ctx, user, kind, notices.occurrence(kind, row["id"], ctx.now), about,
                           ctx.now)
            ctx.count(event)
        ctx.count("checked")
        ctx.count("unknown", verdict == UNKNOWN)
        ctx.log.event("domain checked", domain_id=row["id"], verdict=verdict, change=event,
                      found=found)

    def finish(self) -> None:
        """Rows that are unusable wait a day, and keep their status."""
        for id, reason in self.unusable.items():
            self.ctx.log.warning("domain invalid", domain_id=id, reason=reason)
            self.ctx.count(INVALID)
            self.db.batch(partial(
                self.db.execute, "UPDATE {domains} SET next_check_at = :later, "
                "recheck_requested_at = NULL WHERE id = :id", id=id,
                later=self.ctx.now + domains.DAY))


# Notices to the owner: it works, it is about to stop, or it does not work

def _is_warned(ctx, row: dict) -> bool:
    """Whether the owner was warned in time that this domain fails."""
    warned, grace = domains.warned_at(row, ctx.now), ctx.options.grace
    return bool(warned) and notices.is_warned(
        ctx, notices.occurrence(KIND_OF[WARNED], row["id"], warned),
        notice=min(domains.WARNED_FOR, grace), since=domains.failing_since(row, ctx.now),
        limit=grace)


def _values(ctx, row: dict, event: str, since, results: dict) -> dict:
    """The values that the templates show; `since`: when it began to fail, or None."""
    ends = domains.end(since, ctx.now, ctx.options) if event == WARNED else None

    def of(state: str, is_required: bool = True) -> list[dict]:
        return [_record(name, result) for name, result in results.items()
                if result["state"] == state and result["required"] is is_required]

    # of one that has failed since nobody answered: what could not be checked
    wrong = of(FAIL) or of(UNKNOWN)
    return {
        "domain": row["name"],
        "records": wrong,
        "advice": of(FAIL, False),
        "many": len(wrong) > 1,
        "silent": not of(FAIL),
        "was_verified": row["status"] == VERIFIED,
        "days": domains.GIVE_UP_AFTER.days,
        "since": render.day(since) if since else "",
        "created": render.day(clock.parse(row["created_at"])),
        "end": render.minute(ends) if ends else "",
        "end_day": render.day(ends) if ends else ""}


def _record(name: str, result: dict) -> dict:
    return {"title": records.TITLES[name], "problem": result["problem"], "fix": result["fix"],
            "type": result["type"], "place": result["name"], "expected": result["expected"],
            "found": [{"text": text} for text in result["found"]],
            "is_there": result["state"] == UNKNOWN or bool(result["found"])}
