"""What every purge job keeps to, on both engines. A job made by `purge(...)` is found and tested
here by itself.

Batches are small here, so that a few hundred rows are several; test_purge.py has the real
numbers.
"""
from __future__ import annotations

import itertools
import subprocess
import sys
from collections import namedtuple
from datetime import timedelta

import pytest

from jobs_lib import catalogue, clock
from jobs_lib.database.connection import connect
from jobs_lib.database.schema.tables import table
from jobs_lib.engines import batch_delete, safety_stop
from jobs_lib.engines.batch_delete import FILES_AT_ONCE
from jobs_lib.engines.rules import PRESENT, Purge
from jobs_lib.errors import ConfigError, JobsError
from tests.support import databases
from tests.support.bench import Bench
from tests.support.shell import ROOT

PURGES = [job for job in map(catalogue.load, catalogue.names()) if isinstance(job.run, Purge)]
QUEUED = ("pending", "sending")
NUMBERS = itertools.count()
SECOND = timedelta(seconds=1)
OWN = ("job_runs", "job_state", "meta", "spool_suspects")       # what a run tells of itself
# rows: more than two batches, with files or without
SEVERAL = 250

Case = namedtuple("Case", "values goes")
Special = namedtuple("Special", "values spared further mine", defaults=(None, None, None, "1 = 1"))
Special.__doc__ = """What a job needs besides the columns of its rules.

values   function of the bench -> what each row has too
mine     which rows of the table are the test's
spared   function of the bench -> what a row has that the `also` of a rule keeps, however old it is
further  function of the bench -> rows that go by the job's `run` alone
"""


def warned(bench) -> dict:
    """Held mail whose warning is out for two days."""
    sent = {"status": "sent", "sent_at": bench.ago(days=2), "finished_at": bench.ago(days=2)}
    return {"warned_at": bench.ago(days=3), "warning_id": bench.table("notifications", [sent])[0]}


def announcing(bench) -> dict:
    """A notice that lists held mail."""
    bench.table("overflow_hold", [{"warning_id": 1_000_000, "held_at": bench.now}])
    return {"id": 1_000_000}


def of_an_owner(bench) -> list[dict]:
    """A log row of somebody who wants his log kept for a week."""
    owner = bench.table("users", [{"id": 77, "log_retention_days": 7}])[0]
    return [{"user_id": owner, "created_at": bench.ago(days=8)}]


SPECIAL = {
    "expire_overflow_hold": Special(warned, lambda bench: {"warned_at": None, "warning_id": None}),
    "purge_job_history": Special(lambda bench: {"job": "old", "status": "skipped"},
                                 lambda bench: {"status": "running"}, mine="job = 'old'"),
    "purge_message_logs": Special(further=of_an_owner),
    "purge_notifications": Special(spared=announcing),
}


def pytest_generate_tests(metafunc):
    if "job" in metafunc.fixturenames:
        jobs = [job for job in PURGES if getattr(metafunc.function, "concerns", bool)(job)]
        metafunc.parametrize("job", jobs, ids=[job.name for job in jobs])


def for_those(concerns):
    """Run a test for the jobs alone that it concerns."""
    def marked(test):
        test.concerns = concerns
        return test
    return marked


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(batch_delete, "FIRST", 50)


def special(job) -> Special:
    return SPECIAL.get(job.name, Special())


def limit(bench, job, rule) -> timedelta:
    """How old a row of this rule may be."""
    kept = getattr(bench.settings(job), rule.option) if rule.option else timedelta(0)
    return kept + rule.later


def matching(bench, rule) -> dict:
    """Values that a row of this rule has."""
    return {column: bench.now if value is PRESENT else value for column, value in rule.only.items()}


def can_be_null(job, name: str) -> bool:
    return any(column.null for column in table(job.run.table).columns if column.name == name)


def cases(bench, job) -> list[Case]:
    """Rows around the limit of each rule, and whether each goes."""
    found = []
    for rule in job.run.rules:
        values, age = matching(bench, rule), limit(bench, job, rule)
        ages = ((age + SECOND, True), (age, False), (age - SECOND, False), (age * 3 + SECOND, True))
        for old, goes in ages:
            found.append(Case({**values, rule.age: bench.now - old}, goes))
            if rule.fallback:
                found.append(Case({**values, rule.age: None, rule.fallback: bench.now - old}, goes))
                found.append(Case({**values, rule.age: bench.now, rule.fallback: bench.now - old},
                                  False))
        if not rule.fallback and can_be_null(job, rule.age):
            found.append(Case({**values, rule.age: None}, False))
    if special(job).further:
        found += [Case(values, True) for values in special(job).further(bench)]
    return found


def put(bench, job, rows: list[dict]) -> list[int]:
    """Insert rows with what the job needs besides, each with a file of its own where files go too.
    Their ids."""
    return bench.table(job.run.table, complete(bench, job, rows))


def complete(bench, job, rows: list[dict]) -> list[dict]:
    added = special(job).values(bench) if special(job).values else {}
    filled = []
    for row in rows:
        name = f"{next(NUMBERS):06}"
        own = {"run_id": name} if job.run.table == "job_runs" else {}
        if job.run.files:
            bench.spool(name)
            own[job.run.files] = name
        filled.append({**added, **own, **row})
    return filled


def files(bench, job) -> list[str]:
    """Those that the rows name."""
    return sorted(row[job.run.files] for row in bench.rows(job.run.table)) if job.run.files else []


def fill(bench, job) -> tuple[list[int], int]:
    """All cases as rows. (ids that stay, number that go)."""
    chosen = cases(bench, job)
    ids = put(bench, job, [case.values for case in chosen])
    return [id for id, case in zip(ids, chosen) if not case.goes], sum(case.goes for case in chosen)


def oldest(bench, job, number: int) -> None:
    """Rows that all go."""
    rule = job.run.rules[0]
    old = bench.now - limit(bench, job, rule) - timedelta(days=1)
    bench.bulk(job.run.table, complete(bench, job, [{**matching(bench, rule), rule.age: old}]
                                       * number))


def young(bench, job) -> dict:
    """A row that no rule takes."""
    return {**matching(bench, job.run.rules[0]), **{rule.age: bench.ahead(days=1)
                                                    for rule in job.run.rules}}


def ids(bench, job) -> list[int]:
    """What is left of the test's rows."""
    return bench.ids(job.run.table, special(job).mine)


def left(bench, job) -> dict:
    """Everything but what the runs tell of themselves."""
    kept = {name: rows for name, rows in databases.rows(bench.db).items() if name not in OWN}
    return {**kept, "ids": ids(bench, job)}


def options(job) -> set[str]:
    """Those that say how long."""
    return {rule.option for rule in job.run.rules if rule.option}


def test_what_is_past_its_time_goes_and_the_row_at_the_limit_stays(bench, job):
    stay, go = fill(bench, job)
    assert bench.run(job)["deleted"] == go
    assert ids(bench, job) == stay
    assert bench.result["status"] == "ok"


@for_those(lambda job: job.run.files)
def test_files_go_with_their_rows_and_stay_with_them(bench, job):
    stay, go = fill(bench, job)
    assert bench.run(job)["files"] == go
    assert len(bench.spooled()) == len(stay)
    assert bench.spooled() == files(bench, job)


@for_those(lambda job: any(rule.also for rule in job.run.rules))
def test_what_a_rule_spares_stays_however_old_it_is(bench, job):
    rules = [rule for rule in job.run.rules if rule.also]
    assert special(job).spared, "a rule with `also` needs an example of what it spares, in SPECIAL"
    for rule in rules:
        databases.empty(bench.db)
        row = {**matching(bench, rule), rule.age: bench.ago(days=5000),
               **special(job).spared(bench)}
        spared = put(bench, job, [row])
        assert bench.run(job, dry_run=True)["deleted"] == 0
        assert bench.run(job)["deleted"] == 0
        assert ids(bench, job) == spared


def test_off_ends_before_any_sql(bench, job):
    if None in {rule.option for rule in job.run.rules}:
        return                                  # a rule without an option cannot be switched off
    fill(bench, job)
    bench.was_looked_at()
    before = left(bench, job)
    # a job may have a second purge, with an option of its own
    all_of_them = {*options(job), *(name for name in job.options if name.startswith("keep"))}
    assert bench.run(job, **dict.fromkeys(all_of_them, "off")) == {"deleted": 0}
    assert left(bench, job) == before
    # each run has a row in that one
    untouched = {job.run.table, "job_state", "meta"} - {"job_runs"}
    # which version the tables have, and the right clock
    asked = [sql for sql in bench.statements
             if "{schema_migrations}" not in sql and ":trusted" not in sql]
    assert not any(f"{{{name}}}" in sql for sql in asked for name in untouched)
    assert not any(sql.startswith("DELETE") for sql in bench.statements)
    assert bench.events(job.name)[1]["reason"] == "off"


def test_each_option_that_is_off_keeps_its_rows(bench, job):
    for option in options(job):
        databases.empty(bench.db)
        kept = put(bench, job,
                   [{**young(bench, job), **matching(bench, rule), rule.age: bench.ago(days=5000)}
                    for rule in job.run.rules if rule.option == option])
        bench.run(job, **{option: "off"})
        assert ids(bench, job) == kept


def test_zero_is_a_configuration_error(bench, job):
    for option in options(job):
        with pytest.raises(ConfigError, match="more than 0"):
            bench.run(job, **{option: "0d"})


def test_a_dry_run_counts_the_same_and_changes_nothing(bench, job):         # R11
    fill(bench, job)
    bench.was_looked_at()
    before, spooled = databases.rows(bench.db), bench.spooled()
    told = bench.run(job, dry_run=True)
    assert databases.rows(bench.db) == before
    assert bench.spooled() == spooled
    assert bench.samples[0]["rows"]
    assert set(bench.samples[0]["rows"][0]) == set(job.sample)
    assert {name: told[name] for name in told if name != "unnamed"} == bench.run(job)


def test_a_second_run_finds_nothing(bench, job):        # R12
    fill(bench, job)
    bench.run(job)
    before, spooled = left(bench, job), bench.spooled()
    assert bench.run(job)["deleted"] == 0
    assert left(bench, job) == before
    assert bench.spooled() == spooled


def test_two_at_once_do_what_one_does(bench, job):      # R12: two hosts, each with its own locks
    """The second does all of it after the first has found its rows, and before that one deletes
    them."""
    oldest(bench, job, SEVERAL)
    kept = put(bench, job, [young(bench, job)])
    host, found, counts = bench.second_host(), [], []

    def hear(sql: str, _values: dict) -> None:
        if sql.startswith(f"SELECT id, {job.run.rules[0].age} AS age FROM {{{job.run.table}}}"):
            found.append(sql)
        elif found and not counts and sql.startswith(("BEGIN", "START")):
            counts.append(host.run(job))
    bench.on_statement = hear
    mine = bench.run(job)
    assert (mine["deleted"], counts[0]["deleted"]) == (0, SEVERAL)
    assert (bench.result["status"], host.result["status"]) == ("ok", "ok")
    assert ids(bench, job) == kept
    assert bench.spooled() == files(bench, job)


def test_one_batch_more_than_one(bench, job):
    oldest(bench, job, SEVERAL)
    assert bench.run(job)["deleted"] == SEVERAL
    assert ids(bench, job) == []


def test_a_run_stops_between_batches_and_the_next_goes_on(bench, job):      # R4
    oldest(bench, job, SEVERAL)
    delete = f"DELETE FROM {{{job.run.table}}}"
    bench.on_statement = lambda sql, _: bench.clock.sleep(1.2 if sql.startswith(delete) else 0)
    first = bench.run(job, budget="1s")
    assert bench.result["status"] == "partial"
    assert bench.result["stop_reason"] == "budget"
    assert 0 < first["deleted"] < SEVERAL
    assert len(ids(bench, job)) == SEVERAL - first["deleted"]
    bench.on_statement = None
    assert bench.run(job)["deleted"] == SEVERAL - first["deleted"]
    assert bench.result["status"] == "ok"


def test_each_batch_is_seen_by_others_before_the_next(bench, job):
    oldest(bench, job, SEVERAL)
    seen, other = [], connect(bench.url)

    def look(sql, _):
        if sql.startswith(f"DELETE FROM {{{job.run.table}}}"):
            seen.append(other.value(f"SELECT COUNT(*) FROM {{{job.run.table}}} "
                                    f"WHERE {special(job).mine}"))
    bench.on_statement = look
    bench.run(job)
    other.close()
    assert seen[0] == SEVERAL
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == len(seen) > 2


# R2, R58: what is kept of its rows goes with it
def test_a_batch_that_fails_changes_nothing(bench, job):
    oldest(bench, job, 3)
    before, spooled = left(bench, job), bench.spooled()

    def fail(sql, _):
        if sql == "COMMIT" and any(f"DELETE FROM {{{job.run.table}}}" in earlier
                                   for earlier in bench.statements):
            raise JobsError("the machine is on fire")
    bench.on_statement = fail
    assert "on fire" in bench.fails(job)
    assert left(bench, job) == before
    assert bench.spooled() == spooled


def test_queued_rows_are_never_touched(bench, job):     # R25
    if "claim_token" not in {column.name for column in table(job.run.table).columns}:
        return                                  # no queue
    rows = []
    for status in QUEUED:
        for rule in job.run.rules:
            old = dict.fromkeys([name for name in (rule.age, rule.fallback) if name],
                                bench.ago(days=5000))
            rows.append({**matching(bench, rule), **old, "status": status})
            if can_be_null(job, rule.age):
                rows.append({**old, "status": status, rule.age: None})
    queued = put(bench, job, rows)
    assert bench.run(job)["deleted"] == 0
    assert ids(bench, job) == queued
    assert bench.spooled() == files(bench, job)


def test_limit_caps_the_rows(bench, job):
    oldest(bench, job, 7)
    assert bench.run(job, limit=3)["deleted"] == 3
    assert bench.result["stop_reason"] == "limit"
    assert len(ids(bench, job)) == 4


# R19
def test_a_shorter_limit_that_would_empty_the_table_stops_before_anything_is_done(bench, job,
                                                                                  monkeypatch):
    monkeypatch.setattr(safety_stop, "MOST_ROWS", 10)
    for option in options(job):
        databases.empty(bench.db)
        bench.run(job)
        rule = next(rule for rule in job.run.rules if rule.option == option)
        put(bench, job, [{**young(bench, job), **matching(bench, rule),
                          rule.age: bench.now - limit(bench, job, rule) / 2}] * 15)
        before = left(bench, job)
        assert f"[{job.name}] {option} is 1h" in bench.fails(job, **{option: "1h"})
        assert left(bench, job) == before
        assert bench.run(job, yes=True, **{option: "1h"})["deleted"] == 15


def test_a_run_logs_one_summary(bench, job):
    oldest(bench, job, 3)
    bench.run(job)
    summaries = [event for event in bench.events(job.name)
                 if event["event"] == "purge" and event["table"] == job.run.table]
    assert [(found["table"], found["deleted"], found["reason"])
            for found in summaries] == [(job.run.table, 3, "done")]


# In processes of their own

def kinds() -> dict:
    """The first job of each make: what they do differently is decided by that alone."""
    found: dict = {}
    for job in PURGES:
        found.setdefault((bool(job.run.files), job.run.run), job)
    return {job.name: job for job in found.values()}


@pytest.mark.slow
@pytest.mark.parametrize("name", kinds())
def test_two_processes_at_once_do_what_one_does(bench, name):      # R12
    job = kinds()[name]
    bench.now = clock.now()
    oldest(bench, job, 3 * FILES_AT_ONCE)
    kept = put(bench, job, [young(bench, job)])
    command = [sys.executable, str(ROOT / "jobs.py"), name, "--config",
               f"{bench.folder}/config.ini", "--json", "--set"]
    both = [subprocess.Popen([*command, f"core.state_dir={bench.folder}/state{host}"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT) for host in (1, 2)]
    outs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outs
    assert ids(bench, job) == kept
    assert bench.spooled() == files(bench, job)


def test_nothing_of_a_purge_needs_a_mail_library(pool, tmp_path):       # R10
    # not on MariaDB: PyMySQL itself loads ssl
    Bench(tmp_path, pool.sqlite(tmp_path)).db.close()
    code = ("import sys\nfrom jobs_lib.cli import main as cli\nfor name in sys.argv[2:]:\n"
            "    assert cli.main([name, '--config', sys.argv[1]]) == 0\n"
            "    print([name, *(found for found in ('smtplib', 'ssl', 'email', 'logging') if found "
            "in sys.modules)])")
    names = [job.name for job in PURGES]
    done = subprocess.run([sys.executable, "-c", code, f"{tmp_path}/config.ini", *names], cwd=ROOT,
                          text=True, capture_output=True, check=True)
    assert done.stdout.splitlines() == [str([name]) for name in names], done.stderr
