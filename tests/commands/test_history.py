"""`history`: past runs, newest first, an error in a line."""
from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.support.product import clock
from tests.support.shell import Shell


@pytest.fixture
def service(tmp_path, engine_url):
    service = Shell(tmp_path, engine_url)
    service.configure(timezone="Europe/Berlin")
    return service


def past(service, *runs: dict) -> None:
    """Runs, oldest first: an hour apart, the last at noon UTC."""
    last = clock.parse("2026-11-24 12:00:00")
    for number, run in enumerate(runs):
        started = last - timedelta(hours=len(runs) - 1 - number)
        service.db.insert("job_runs", **{"run_id": f"run{number}", "job": "retry_forwards",
                                         "status": "ok", "trigger_type": "scheduled",
                                         "started_at": started, "duration_ms": 20,
                                         "finished_at": started, "counts": "{}", **run})


def test_without_a_run_it_says_how_to_make_one(service):
    assert service.run("history") == "No run yet. `jobs.py run-due` makes one.\n"
    assert service.run("history", "retry_forwards") == (
        "No run of retry_forwards yet. `jobs.py retry_forwards` makes one.\n")
    assert json.loads(service.run("history", "--json")) == []


def test_runs_are_listed_newest_first(service):
    past(service,
         {"counts": '{"sent": 5, "retried": 1200, "failed": 0}', "duration_ms": 200_400,
          "trigger_type": "manual"}, {"status": "vanished", "duration_ms": None,
                                      "error": "the process 7 ended"},
         {"job": "purge_failed_emails"},
         {"status": "partial", "stop_reason": "budget", "counts": '{"sent": 1}',
          "trigger_type": "continue"})
    assert service.run("history").splitlines() == [
        "STARTED              JOB                  BY       OUTCOME   TOOK        WHAT",
        "2026-11-24 13:00:00  retry_forwards       goes on  partial   20 ms       1 sent; budget",
        "2026-11-24 12:00:00  purge_failed_emails  cron     ok        20 ms       nothing to do",
        ("2026-11-24 11:00:00  retry_forwards       cron     vanished  -           the process 7 "
        "ended"),
        ("2026-11-24 10:00:00  retry_forwards       hand     ok        3 min 20 s  5 sent, 1,200 "
        "retried"),
        "",
        "Times are in Europe/Berlin.",
    ]


def test_one_job_and_a_limit(service):
    past(service, {}, {"job": "purge_failed_emails"}, {}, {})
    assert [run["run_id"] for run in json.loads(service.run("history", "--json"))] == ["run3",
                                                                                       "run2",
                                                                                       "run1",
                                                                                       "run0"]
    found = json.loads(service.run("history", "retry_forwards", "--limit", "2", "--json"))
    assert [run["run_id"] for run in found] == ["run3", "run2"]
    assert "JOB" not in service.run("history", "retry_forwards")


def test_the_json_has_the_names_of_a_runs_own(service):
    own = service.job("retry_forwards")
    found = json.loads(service.run("history", "--json"))[0]
    assert {name: found[name] for name in own} == own


def test_an_error_is_one_line_cut_on_a_terminal_and_whole_in_a_pipe(service, line):
    words = "the relay cannot be used:\n" + "no route to host, " * 20
    past(service, {"status": "failed", "error": words})
    assert " ".join(words.split()) in service.run("history")
    seen = line.on_terminal("history")
    assert max(map(len, seen)) <= 80
    assert seen[2].startswith("    the relay cannot be used: no route to host, ")
    assert seen[2].endswith("...")


@pytest.mark.parametrize("run, shown", [
    ({"status": "vanished", "error": 'it ended without a word (last progress: {"done": 1, '
      '"total": 6})'}, "it ended without a word (last progress: 1 of 6 done)"),
    ({"status": "running", "progress": '{"done": 1200, "total": 3000, "rate": 90, '
      '"seconds_left": 20}'}, "1,200 of 3,000 done, 90 a second, 20 s left"),
    # what only looks like progress stays as it is
    ({"status": "failed", "error": "last progress: {half}"}, "last progress: {half}"),
    # a job that was removed
    ({"job": "send_pigeons"}, "nothing to do")])
def test_progress_is_in_words(service, run, shown):
    past(service, run)
    assert shown in service.run("history")
