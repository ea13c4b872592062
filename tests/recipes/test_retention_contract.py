"""What every purge job keeps to, on both engines. A job made by `purge(...)` is found and tested here by itself."""
from __future__ import annotations

import subprocess
import sys
from collections import namedtuple
from datetime import timedelta

import pytest

from jobs_lib import catalogue, clock
from jobs_lib.errors import ConfigError
from jobs_lib.ports.db import connect
from jobs_lib.recipes.retention import FILES_AT_ONCE, PRESENT, Purge
from jobs_lib.recipes.walk import FIRST
from jobs_lib.schema.tables import table
from tests.support import databases
from tests.support.service import Service

PURGES = [job for job in map(catalogue.load, catalogue.names()) if isinstance(job.run, Purge)]
QUEUED = ("pending", "sending")
SECOND = timedelta(seconds=1)
OWN = ("job_runs", "job_state", "meta", "spool_suspects")       # what a run tells of itself

Case = namedtuple("Case", "values goes")


def pytest_generate_tests(metafunc):
    if "job" in metafunc.fixturenames:
        metafunc.parametrize("job", PURGES, ids=[job.name for job in PURGES])


def limit(bench, job, rule) -> timedelta:
    """How old a row of this rule may be."""
    kept = getattr(bench.settings(job), rule.option) if rule.option else timedelta(0)
    return kept + rule.later


def matching(bench, rule) -> dict:
    """Values that a row of this rule has."""
    return {column: bench.now if value is PRESENT else value for column, value in rule.only.items()}


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
                found.append(Case({**values, rule.age: bench.now, rule.fallback: bench.now - old}, False))
        if not rule.fallback and any(column.null for column in table(job.run.table).columns if column.name == rule.age):
            found.append(Case({**values, rule.age: None}, False))
    return found


def fill(bench, job) -> tuple[list[int], int]:
    """All these rows, each with a file of its own where files go too. (ids that stay, number that go)."""
    chosen = cases(bench, job)
    rows = [with_file(bench, job, case.values, f"{number}.eml") for number, case in enumerate(chosen)]
    ids = bench.table(job.run.table, rows)
    return [id for id, case in zip(ids, chosen) if not case.goes], sum(case.goes for case in chosen)


def with_file(bench, job, values: dict, name: str) -> dict:
    if job.run.files:
        bench.spool(name)
        return {**values, job.run.files: name}
    return values


def oldest(bench, job, number: int) -> list[int]:
    """Rows that all go."""
    rule = job.run.rules[0]
    old = bench.now - limit(bench, job, rule) - timedelta(days=1)
    return bench.table(job.run.table, [with_file(bench, job, {**matching(bench, rule), rule.age: old}, f"{at}.eml")
                                       for at in range(number)])


def several_batches(job) -> int:
    """More rows than the first batch takes."""
    return 2 * (FILES_AT_ONCE if job.run.files else FIRST) + 50


def left(bench) -> dict:
    """Everything but what the runs tell of themselves."""
    return {name: rows for name, rows in databases.rows(bench.db).items() if name not in OWN}


def test_what_is_past_its_time_goes_and_the_row_at_the_limit_stays(bench, job):
    stay, go = fill(bench, job)
    assert bench.run(job)["deleted"] == go
    assert bench.ids(job.run.table) == stay
    assert bench.result["status"] == "ok"


def test_files_go_with_their_rows_and_stay_with_them(bench, job):
    if not job.run.files:
        return
    stay, go = fill(bench, job)
    names = [row[job.run.files] for row in bench.rows(job.run.table) if row["id"] in stay]
    assert bench.run(job)["files"] == go
    assert bench.spooled() == sorted(names)


def test_off_ends_before_any_sql(bench, job):
    options = {rule.option: "off" for rule in job.run.rules if rule.option}
    if not options or None in {rule.option for rule in job.run.rules}:
        return                                  # a rule without an option cannot be switched off
    fill(bench, job)
    before = left(bench)
    assert bench.run(job, **options) == {"deleted": 0}
    assert left(bench) == before
    assert not any(f"{{{name}}}" in sql for sql in bench.statements for name in (job.run.table, "job_state", "meta"))
    assert bench.events(job.name)[1]["reason"] == "off"


def test_each_option_that_is_off_keeps_its_rows(bench, job):
    for option in {rule.option for rule in job.run.rules if rule.option}:
        databases.empty(bench.db)
        chosen = cases(bench, job)
        rules = [rule for rule in job.run.rules if rule.option == option]
        ids = [bench.table(job.run.table, [{**matching(bench, rule), rule.age: bench.ago(days=5000)}])[0]
               for rule in rules]
        assert chosen
        bench.run(job, **{option: "off"})
        assert bench.ids(job.run.table) == ids


def test_zero_is_a_configuration_error(bench, job):
    for rule in job.run.rules:
        if rule.option:
            with pytest.raises(ConfigError, match="more than 0"):
                bench.run(job, **{rule.option: "0d"})


def test_a_dry_run_counts_the_same_and_changes_nothing(bench, job):         # R11
    fill(bench, job)
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
    before, spooled = left(bench), bench.spooled()
    assert bench.run(job)["deleted"] == 0
    assert left(bench) == before
    assert bench.spooled() == spooled


def test_two_at_once_do_what_one_does(tmp_path, engine_url, bench, job):     # R12: two hosts, each with its own locks
    bench.now = clock.now()
    service = Service(tmp_path, engine_url)
    oldest(bench, job, 3 * FILES_AT_ONCE)
    kept = bench.table(job.run.table, [with_file(bench, job, {**matching(bench, job.run.rules[0])}, "kept.eml")])
    both = [service.start(job.name, "--json", JOBS_CORE_STATE_DIR=f"state{host}") for host in (1, 2)]
    outs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outs
    assert bench.ids(job.run.table) == kept
    if job.run.files:
        assert bench.spooled() == ["kept.eml"]


def test_one_batch_more_than_one(bench, job):
    oldest(bench, job, several_batches(job))
    assert bench.run(job)["deleted"] == several_batches(job)
    assert bench.ids(job.run.table) == []


def test_a_run_stops_between_batches_and_the_next_goes_on(bench, job):      # R4
    number = several_batches(job)
    oldest(bench, job, number)
    bench.on_statement = lambda sql, _: bench.clock.sleep(0.4 if sql.startswith(f"DELETE FROM {{{job.run.table}}}")
                                                          else 0)
    first = bench.run(job, budget="1s")
    assert bench.result["status"] == "partial"
    assert bench.result["stop_reason"] == "budget"
    assert 0 < first["deleted"] < number
    assert len(bench.ids(job.run.table)) == number - first["deleted"]
    bench.on_statement = None
    assert bench.run(job)["deleted"] == number - first["deleted"]
    assert bench.result["status"] == "ok"


def test_each_batch_is_seen_by_others_before_the_next(bench, job):
    number, seen = several_batches(job), []
    oldest(bench, job, number)
    other = connect(bench.url)

    def look(sql, _):
        if sql.startswith(f"DELETE FROM {{{job.run.table}}}"):
            seen.append(other.value(f"SELECT COUNT(*) FROM {{{job.run.table}}}"))
    bench.on_statement = look
    bench.run(job)
    other.close()
    assert seen[0] == number
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == len(seen) > 2


def test_queued_rows_are_never_touched(bench, job):     # R25
    columns = {column.name for column in table(job.run.table).columns}
    if "claim_token" not in columns:
        return                                  # no queue
    rows = []
    for status in QUEUED:
        for rule in job.run.rules:
            old = dict.fromkeys([name for name in (rule.age, rule.fallback) if name], bench.ago(days=5000))
            rows += [with_file(bench, job, {**matching(bench, rule), **old, "status": status}, f"q{len(rows)}.eml")]
            rows += [with_file(bench, job, {**old, "status": status, rule.age: None}, f"q{len(rows)}.eml")]
    ids = bench.table(job.run.table, rows)
    assert bench.run(job)["deleted"] == 0
    assert bench.ids(job.run.table) == ids
    assert bench.spooled() == sorted(row[job.run.files] for row in rows if job.run.files)


def test_limit_caps_the_rows(bench, job):
    oldest(bench, job, 7)
    assert bench.run(job, limit=3)["deleted"] == 3
    assert bench.result["stop_reason"] == "limit"
    assert len(bench.ids(job.run.table)) == 4


def test_a_run_logs_one_summary(bench, job):
    oldest(bench, job, 3)
    bench.run(job)
    summaries = [event for event in bench.events(job.name) if event["event"] == "purge"]
    assert [(found["table"], found["deleted"], found["reason"]) for found in summaries] == [(job.run.table, 3, "done")]


def test_nothing_of_it_needs_a_mail_library(bench, job):       # R10
    code = (f"import sys; from jobs_lib import cli; cli.main([{job.name!r}, '--config', '{bench.folder}/config.ini']);"
            "print([name for name in ('smtplib', 'ssl', 'email', 'logging') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if "mysql" not in bench.url:                # PyMySQL itself loads ssl
        assert done.stdout.strip() == "[]", done.stderr
