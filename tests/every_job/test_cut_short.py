"""However often a job is cut short, by a limit, its budget, or a kill before any change of a row or
a file, its last run leaves what one leaves that was left alone. So do two hosts at once;
a second run changes nothing, and neither does a dry run, which says what the run then does."""
from __future__ import annotations

import json
import os
import re
import signal
from collections import Counter
from functools import partial

import pytest

from tests.support import databases
from tests.support.archives import named
from tests.support.product import catalogue
from tests.support.shell import is_killed
from tests.test_hostile_rows import due

# all but those that look at other jobs
JOBS = tuple(job for job in catalogue.names() if job not in ("check_jobs", "purge_job_history"))
# What is in flight when these are killed may come twice, or is tried again later:
# tests/storm and tests/jobs/ have their kills.
IN_FLIGHT = ("retry_forwards", "send_notifications", "retry_webhooks", "export_accounts")
KILLED = [job for job in JOBS if job not in IN_FLIGHT]
# In the quick tier: of the jobs whose notices, and whose totals, have to be one commit with their
# rows.
QUICK = ("check_usage_thresholds", "purge_message_logs")
AT_ONCE = ("rollup_usage",)                         # does three days whatever the limit is
TIMED = ("export_accounts",)                        # a link expires so long after it is ready
MORE_THAN_TOLD = {"rows"}                           # those that change as an account is closed
OWNERS = range(1, 5)
NOW = re.compile(r"2026-11-24 (1[4-9]|2\d):\d\d:\d\d")      # in runs some time may pass
CLOSED = {50: 720, 51: 720, 52: 1}      # accounts, and how many hours ago they were deleted

# Other tests may have left idle threads behind, which hold no lock that a child would wait for.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

# What the runner and the queues remember of runs, and what is another in each of them.
OF_RUNS = {"job_runs", "job_state", "meta", "attempts", "queue_turns",
           "relay_state", "alerts", "audit_archives"}
MADE_ANEW = {"notifications", "audit_logs", "usage_events", "account_deletions"}
OTHER_EACH_TIME = {"notice_id", "warning_id", "claim_run", "sha256",
                   "file_name", "file_bytes", "token_hash", "body_text", "body_html", "dns_results",
                   "next_check_at"}
LEDGER = "deletions.jsonl"              # in the folder `state` of each host
WAITS = {"check_domains": 11}           # minutes until what a killed run held is due again


def of(jobs):
    """Parameters of a test."""
    return pytest.mark.parametrize("job", [
        job if job in QUICK else pytest.param(job, marks=pytest.mark.slow) for job in jobs])


def maker(bench):
    """A function that makes four owners for whom each job has something to do, and three accounts
    that were deleted; all that was there before is gone."""
    def make():
        databases.empty(bench.db)
        # the same ids of log rows again: none would be new
        bench.db.execute("DELETE FROM {meta} WHERE name = 'rollup'")
        for folder in ("spool", "archive", "exports"):
            for path in (bench.folder / folder).glob("[!.]*"):
                path.unlink()
        for owner in (*OWNERS, *CLOSED):
            for name, rows in due(bench, owner).items():
                bench.table(name, [{**row, **({
                    "status": "deleted", "deleted_at": bench.ago(hours=CLOSED[owner])}
                    if name == "users" and owner in CLOSED else {})} for row in rows])
            for name in ("due", "lost", "sent", "held", "over", "spam"):
                bench.spool(f"{name}{owner}.eml")
            bench.dns[(f"club{owner}.example", "TXT")] = ["porter-verify=t"]
            bench.dns[(f"club{owner}.example", "MX")] = [(10, "mx.alias.example")]
        bench.table("message_logs", [    # past what their owner chose
            {"id": 10 * owner + 5, "user_id": owner, "direction": "send", "status": "held",
             "bytes_used": 7 * owner, "created_at": bench.ago(days=60)} for owner in OWNERS])
        bench.table("header_snapshots", [{"id": id, "message_log_id": id}
                                         for id in range(9000, 9003)])
        bench.table("usage_daily", [{"user_id": owner, "day": bench.now.date(), "email_count": 1,
                                     "bytes_used": 90} for owner in OWNERS])
        for ledger in bench.folder.rglob(LEDGER):
            ledger.unlink()
        bench.outbox.clear(), bench.web.clear()
        return bench
    configure(bench)
    (bench.folder / "archive").mkdir()
    return make


def configure(host, bench=None) -> None:
    """Everything on, and no limit of the relay."""
    folder = (bench or host).folder
    host.config(core={"app_url": "https://app.example", "secret_key": "k" * 40},
                mail={"per_minute": "off", "per_hour": "off", "per_day": "off",
                      "domain": "alias.example"}, dns={"mx_hosts": "mx.alias.example"},
                spool={"dir": folder / "spool"}, archive={"store": folder / "archive"},
                export={"dir": folder / "exports"})


def state(bench) -> dict:
    """What is there, in which order whatever it came: rows, files, mail and requests."""
    found = {}
    for table in bench.db.tables():
        without = OTHER_EACH_TIME | ({"id"} if table in MADE_ANEW else set())
        if table not in OF_RUNS:
            found[table] = Counter(NOW.sub("now", str(
                {name: value for name, value in row.items()
                 if name not in without and "{\"deletion\"" not in str(value)}))
                for row in bench.rows(table))
    archived = named(bench.db, bench.folder / "archive").values()
    lines = [line for ledger in bench.folder.rglob(LEDGER)
             for line in ledger.read_text().splitlines()]
    return {**found, "deletions": Counter({json.loads(line)["user_id"] for line in lines}),
            "spool": Counter(bench.spooled()),
            "archived": Counter(str(row) for rows in archived for row in rows),
            "exports": Counter(path.suffix for path in (bench.folder / "exports").glob("[!.]*")),
            "mail": Counter(mail.recipient for mail in bench.outbox),
            "requests": Counter(request.item_id for request in bench.web)}


def judge(bench, job: str) -> tuple:
    """The bench with all that is due, and what the job makes of it."""
    make = maker(bench)
    assert any(make().run(job).values())
    right = state(bench)
    return make(), right


@pytest.fixture
def judged(bench, request):
    """The same, of the job of this test."""
    return judge(bench, request.node.callspec.params["job"])


def check(bench, right: dict) -> None:
    """It is as it should be: nothing is missing, nothing more is there."""
    found = state(bench)
    assert {name: (right[name] - found[name], found[name] - right[name]) for name in right
            if found[name] != right[name]} == {}


def until_done(bench, job: str, **how) -> list[str]:
    """Run it until nothing is left; why it stopped before."""
    reasons: list[str] = []
    while len(reasons) < 100:
        assert bench.attempt(job, **how)["status"] in ("ok", "partial"), bench.result
        if bench.result["status"] == "ok":
            return reasons
        reasons.append(bench.result["stop_reason"])
    raise AssertionError("it does not end")


@of(JOBS)
def test_a_second_run_and_a_dry_run_change_nothing(judged, job):        # R11 R12
    bench, right = judged
    before = state(bench)
    told = bench.run(job, dry_run=True)
    check(bench, before)
    counts = bench.run(job)
    assert {name: number for name, number in told.items() if name not in MORE_THAN_TOLD
            and number != counts.get(name, 0)} == {}
    check(bench, right)
    bench.run(job)
    check(bench, right)


@of(job for job in JOBS if job not in AT_ONCE)
def test_a_limit_leaves_the_rest_to_the_next_runs(judged, job):     # R4
    bench, right = judged
    assert set(until_done(bench, job, limit=1)) == {"limit"}
    check(bench, right)


@of(job for job in JOBS if job not in TIMED)
def test_a_run_out_of_time_leaves_the_rest_to_the_next_runs(judged, job):       # R4 R30
    bench, right = judged
    bench.on_statement = lambda sql, _: bench.clock.sleep(12 if sql == "COMMIT" else 0)
    assert set(until_done(bench, job)) <= {"budget"}
    check(bench, right)


@pytest.mark.parametrize("number", [1, 2])
@of(JOBS)
def test_two_hosts_at_once_do_what_one_does(judged, job, number):       # R12 R21
    """The second one works while the first is about to begin a transaction."""
    bench, right = judged
    host, begun = bench.second_host(), []
    configure(host, bench)

    def other(sql, _values) -> None:
        if sql.startswith(("BEGIN", "START")):
            begun.append(sql)
            if len(begun) == number:
                bench.on_statement = None
                host.attempt(job)
    bench.on_statement = other
    until_done(bench, job)
    check(bench, right)


@of(KILLED)
def test_killed_before_each_change_the_next_runs_do_the_rest(judged, job):      # R2 R57 R58
    bench, right = judged
    number = 1
    while killed(bench, job, number):
        number += 1
        bench.now = bench.ahead(minutes=WAITS.get(job, 0))
    assert number > 3
    until_done(bench, job)
    check(bench, right)


def killed(bench, job: str, number: int) -> bool:
    """Whether a run in a process of its own was killed before its so many-th change of a row or a
    file."""
    left = [number]

    def strike(sql, _values=None) -> None:
        left[0] -= sql.startswith(("INSERT", "UPDATE", "DELETE", "COMMIT"))
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def change_file(function, *given, **named):
        strike("UPDATE")
        return function(*given, **named)

    def work() -> bool:
        bench.on_statement = strike
        for name in ("fsync", "link", "rename", "replace", "unlink"):
            setattr(os, name, partial(change_file, getattr(os, name)))
        return bench.attempt(job)["status"] == "ok"
    return is_killed(work)
