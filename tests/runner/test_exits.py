"""How `jobs.py` ends: with the exit codes of the public interface, each by a real process, and,
whatever goes wrong, with one sentence, never with a traceback."""
from __future__ import annotations

import sys

import pytest

MB = 1024 ** 2


@pytest.mark.quick
@pytest.mark.parametrize("code, words", [
    (0, ("dig",)),
    (0, ("dig", "--set", "budget=1s", "--set", "items=5", "--set", "pause=400")),        # partial
    (0, ("run-due",)), (1, ("fail",)),
    (2, ("dug",)), (2, ("dig", "--set", "holes=3")),
    (2, ("run-due", "--budget", "soon")),
    (78, ("dig", "--set", "items=many")), (78, ("dig", "--set", "export.keep=soon")),
    (124, ("hang", "--set", "budget=1s", "--set", "core.grace=1s")),
], ids=lambda value: value if isinstance(value, int) else " ".join(value))
def test_a_command_ends_with(site, code, words):
    done = site(*words)
    assert done.code == code
    assert done.out == ""
    assert (done.err == "") == (code == 0)
    assert "Traceback" not in done.err


def test_a_tick_ends_with_the_code_of_the_first_job_that_went_wrong(site):
    site.configure(grace="1s")
    site.enable("tick_critical", "fail")
    assert site("run-due").code == 1
    site.enable("hang", budget="1s", schedule="* * * * *")
    site.configure("fail", enabled="no")
    assert site("run-due").code == 124


def assert_one_sentence(done) -> None:
    assert (done.code, done.err[:7], done.err.count("\n")) == (1, "jobs.py", 1), done
    assert "Traceback" not in done.err


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "at once"])
@pytest.mark.parametrize("words", [["list"], ["dig", "--json"], ["config", "example"],
                                   ["list", "--help"], ["--version"]], ids=" ".join)
def test_an_answer_that_cannot_be_written_is_a_failure(site, words, unbuffered):   # R69
    """The same words, whether the system says so at the first line, when the buffer is full, or at
    the end; and where stderr cannot be written either, no crash."""
    with open("/dev/full", "w") as full:
        done = site(*words, stdout=full, unbuffered=unbuffered)
        assert site(*words, stdout=full, stderr=full, unbuffered=unbuffered).code == 1
    assert_one_sentence(done)
    assert "No space left on device" in done.err


@pytest.mark.parametrize("point", ["jobs_lib.catalogue:load", "jobs_lib.runner.runner:run"])
def test_what_nobody_expects_is_one_sentence_and_a_traceback_in_the_log(site, point):    # R69, R72
    done = site("dig", bug=f"{point}=TypeError:somebody@example.org is no number")
    assert_one_sentence(done)
    assert "TypeError" in done.err
    assert "somebody@" not in done.err
    event, = site.events("jobs")
    assert (event["event"], "in bug" in event["traceback"]) == ("exception", True)
    assert "somebody@" not in event["traceback"]


@pytest.mark.parametrize("words", [["hang"], ["run-due"]], ids=" ".join)    # R2 R69
def test_a_job_that_uses_up_all_memory_ends_as_failed_and_the_others_run(any_site, words):
    site = any_site
    site.enable("hang", how="all_memory", schedule="*/5 * * * *")
    site.enable("tick_low")
    little_memory = ("prlimit", f"--as={160 * MB}")
    done = site(*words, now="2026-11-24 14:31:00", before=little_memory)
    if sys.version_info < (3, 10) and not done.err.startswith("hang: "):
        # Python 3.9 itself may give up, or find no memory for the catch: a kill like any other
        site("hang", now="2026-11-24 14:36:00", before=little_memory)
        site("tick_low", now="2026-11-24 14:36:00")
        assert site.runs("hang")[0]["status"] == "vanished"
        assert site.outcomes("tick_low") == ["ok"]
        return
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), done
    assert done.err.startswith("hang: failed: there was not enough memory")
    run, = site.runs("hang")
    assert (run["status"], f"hang: failed: {run['error']}\n") == ("failed", done.err)
    assert site.dug() == 0                      # the transaction that was open is rolled back
    assert [event["event"] for event in site.events("hang")] == ["run started", "run ended"]
    assert site.outcomes("tick_low") == ["ok"] * (words == ["run-due"])


@pytest.mark.parametrize("words", [["run-due"], ["purge_sessions"], ["doctor"]], ids=" ".join)
def test_too_little_memory_to_begin_is_said_at_once(line, words):               # R69
    """From where Python itself starts: one sentence says why not, or all is well."""
    line.ini("[core]\ndatabase = sqlite:///jobs.db\n")
    assert line("migrate").code == 0
    usual = line(*words).code
    for size in (20, 28, 39, 43, 44, 56):
        done = line(*words, before=("prlimit", f"--as={size * MB}"))
        assert done.code in (usual, 1), (size, done)
        assert "Traceback" not in done.err, (size, done)
        assert "Please report it" not in done.err, (size, done)
        if size < 44:
            assert (done.code, done.err) == (1, (
                f"jobs.py: memory is too low for Python and the jobs: a process may use {size} MB "
                "here (ulimit -v), and they need 44 MB at least: raise the limit, or ask your host "
                "to\n"))
