"""Each job is one file with one name, and has its tests under that name."""
from __future__ import annotations

import ast

from jobs_lib import catalogue, schedule, schedule_text
from tests.house.source import ROOT, each, modules, tree

JOBS = sorted(name.rpartition(".")[2] for name in modules() if name.startswith("jobs_lib.jobs."))

DECLARED = catalogue.load_all()
VERBS = ("purge", "expire", "retry", "send", "check", "rollup", "export", "delete", "archive")


def test_each_job_has_a_test_file_and_each_test_file_a_job():
    """A job's further tests are named after it: test_retry_forwards.py,
    test_retry_forwards_kill.py. Purges that are no more than their rules stand in one table."""
    folder = ROOT / "tests" / "jobs"
    files = {path.stem[len("test_"):] for path in folder.glob("test_*.py")} - {"purges"}
    table = (folder / "test_purges.py").read_text(encoding="utf-8")
    assert [name for name in JOBS if name not in files and f'"{name}": Case(' not in table] == []
    assert [file for file in files if not any(is_of(file, name) for name in JOBS)] == []


def is_of(file: str, name: str) -> bool:
    return file == name or file.startswith(f"{name}_")


@each("name", JOBS)
def test_a_job_module_exposes_its_job_alone(name):
    defined = set()
    for node in tree(modules()[f"jobs_lib.jobs.{name}"]).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.Assign):
            defined |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    assert {word for word in defined if not word.startswith("_") and not word.isupper()} == {"job"}


@each("name", JOBS)
def test_a_job_is_named_verb_first_and_says_what_it_does_in_a_line(name):
    assert name.partition("_")[0] in VERBS
    first = (ast.get_docstring(tree(modules()[f"jobs_lib.jobs.{name}"])) or "").partition("\n")[0]
    assert 0 < len(first) < 72


# When they run: what docs/cron.md says under "How the load is spread"

def minutes(job) -> list[tuple[int, int]]:
    """(hour, minute) of each start of a job within a day; an hourly one has hour -1."""
    parsed = schedule.parse(job.schedule)
    hours = [-1] if parsed.every_hour else [hour for hour in range(24) if parsed.hours >> hour & 1]
    return [(hour, minute) for hour in hours for minute in range(60) if parsed.minutes >> minute
            & 1]


RARE = {job.name: minutes(job) for job in DECLARED if len(minutes(job)) == 1}


def test_what_runs_hourly_or_daily_has_a_minute_of_its_own_and_never_minute_0():
    starts = [start for found in RARE.values() for start in found]
    assert len(RARE) > 12
    assert sorted(set(starts)) == sorted(starts)
    assert [name for name, ((_, minute),) in RARE.items() if minute == 0] == []


def test_nothing_that_runs_daily_begins_in_the_hour_of_midnight():
    assert [name for name, ((hour, _),) in RARE.items() if hour == 0] == []


def test_what_sends_mail_is_urgent_and_what_purges_is_not():
    priorities = {job.name: job.priority for job in DECLARED}
    assert {priorities[name] for name in ("retry_forwards", "send_notifications")} == {"critical"}
    assert {priority for name, priority in priorities.items()
            if name.startswith("purge_")} == {"low"}


@each("job", DECLARED)
def test_each_job_stands_in_the_docs_with_its_schedule_and_purpose(job):
    row = next(line for line in (ROOT / "docs" / "jobs.md").read_text("utf-8").split("\n")
               if line.startswith(f"| [`{job.name}`]"))
    assert job.summary in row
    assert schedule_text.words(schedule.parse(job.schedule)) in row
    assert f"`{job.name}`" in (ROOT / "README.md").read_text("utf-8")
