"""`crontab --verify`: what is installed, beside what would be printed."""
from __future__ import annotations

import os
import sys

import pytest

from tests.support.shell import ROOT

SCRIPT = ROOT / "jobs.py"
RUN = f"{sys.executable} {SCRIPT}"


@pytest.fixture
def verify(line):
    """`verify(lines)`: (exit code, what it says) of an installed crontab."""
    def judge(text: str) -> tuple[int, str]:
        (line.folder / "installed").write_text(text)
        answer = line("crontab", "--verify", "--installed", str(line.folder / "installed"))
        assert answer.err == ""
        return answer.code, answer.out
    return judge


@pytest.mark.parametrize("style", ["one-line", "per-job"])
def test_what_is_printed_is_in_order(line, verify, style):          # R64
    code, output = verify(line("crontab", "--style", style).out)
    assert (code, "WRONG" in output) == (0, False), output


def test_the_one_line_in_another_hand_is_in_order_too(verify):
    for schedule, words in (("*/5 * * * *", "every 5 minutes"),
                            ("7,22,37,52 * * * *", "every 15 minutes"),
                            ("@hourly", "once an hour")):
        code, output = verify(f"MAILTO=me@example.org\n{schedule} cd {ROOT} && {sys.executable} "
                            "jobs.py run-due\n")
        assert (code, output) == (0, f"ok     line 2 runs what is due {words}\n")


@pytest.mark.parametrize("entry", [
    "{run} run-due", "{run} --config {folder}/other.ini run-due",
    "JOBS_CONFIG={folder}/other.ini {run} run-due"])
def test_a_line_for_another_configuration_starts_nothing_of_this_one(line, verify, entry):
    line.ini("[core]\n")
    code, output = verify("*/5 * * * * " + entry.format(run=RUN, folder=line.folder) + "\n")
    assert code == 1
    assert f"and not for {line.folder}/config.ini" in output
    assert f"no line runs {SCRIPT} with --config {line.folder}/config.ini" in output


@pytest.mark.parametrize("entry", [
    "*/5 * * * * {run} run-due --config={folder}/config.ini",
    "*/5 * * * * cd {folder} && {run} --config config.ini run-due",
    "JOBS_CONFIG={folder}/config.ini\n*/5 * * * * {run} run-due",
    "*/5 * * * * JOBS_CONFIG={folder}/config.ini {run} run-due",
    "*/5 * * * * {run} --config {folder}/config.ini run-due\n*/5 * * * * {run} run-due"])
def test_a_configuration_may_be_named_in_any_way(line, verify, entry):
    line.ini("[core]\n")
    code, output = verify(entry.format(run=RUN, folder=line.folder) + "\n")
    assert (code, "runs what is due every 5 minutes" in output) == (0, True), output


def test_an_empty_crontab_starts_nothing(verify):
    code, output = verify("# nothing yet\n")
    assert code == 1
    assert f"no line runs {SCRIPT}, so nothing is ever started" in output


def test_another_copy_is_named_and_does_not_count(verify):
    code, output = verify("*/5 * * * * /usr/bin/python3 /home/other/jobs/jobs.py run-due\n")
    assert code == 1
    assert "line 1 runs another copy of this program" in output


@pytest.mark.parametrize("entry, message", [
    (f"0 4 * * * {RUN} run-due", "too rarely"),
    (f"*/5 * * * * /nowhere/python3 {SCRIPT} run-due", "there is no program /nowhere/python3"),
    (f"*/5 * * * * {RUN} run-due >/dev/null 2>&1", "throws away what it prints"),
    (f"61 * * * * {RUN} run-due", "is not a valid schedule"),
    (f"*/5 * * * * {RUN} run-due\n3 * * * * {RUN} purge_nothing --scheduled",
     "there is no job 'purge_nothing'"),
])
def test_each_mistake_is_reported_with_its_line(verify, entry, message):
    code, output = verify(entry + "\n")
    assert code == 1
    assert message in output
    assert "line " in output


@pytest.mark.parametrize("entry, message", [
    (f"*/5 * * * * cd {ROOT} && ./jobs.py run-due", "cannot be started by itself, since its mode"),
    (f"*/5 * * * * {SCRIPT} run-due", f"put {sys.executable} before it"),
    (f"*/5 * * * * A=1 {SCRIPT} run-due", "cannot be started by itself"),
    (f"PATH=/nowhere\n*/5 * * * * python3 {SCRIPT} run-due",
     "line 2: cron finds no program python3 in its PATH (/nowhere)"),
    (f"*/5 * * * * cd {ROOT}; python3.99 -u jobs.py run-due",
     "cron finds no program python3.99 in its PATH (/usr/bin:/bin)"),
    (f"*/5 * * * * cd {ROOT} && .venv/nowhere/python jobs.py run-due",
     "there is no program .venv/nowhere/python"),
    (f"*/5 * * * * root {RUN} run-due", "it begins with the user root"),
    (f'MAILTO=""\n*/5 * * * * {RUN} run-due', "line 2: MAILTO is empty in line 1"),
    (f"MAILTO=\n*/5 * * * * {RUN} run-due", "MAILTO is empty in line 1"),
])
def test_a_line_is_judged_as_cron_will(verify, entry, message):
    assert not os.access(SCRIPT, os.X_OK)
    code, output = verify(entry + "\n")
    assert (code, message in output) == (1, True), output


@pytest.mark.parametrize("entry", [
    f"PATH={os.path.dirname(sys.executable)}\n*/5 * * * * python3 {SCRIPT} run-due",
    f"*/5 * * * * nice -n 10 timeout 300 {RUN} run-due",
    f"*/5 * * * * PATH={os.path.dirname(sys.executable)}:$PATH python3 {SCRIPT} run-due",
    f'MAILTO=""\nMAILTO=me@example.org\n*/5 * * * * {RUN} run-due',
    f"MAILTO=me@example.org\n*/5 * * * * {RUN} run-due\nMAILTO=\"\"\n0 4 * * * /bin/true"])
def test_a_line_that_cron_can_start_is_in_order(verify, entry):
    code, output = verify(entry + "\n")
    assert (code, "WRONG" in output) == (0, False), output


def test_a_second_run_due_is_harmless(verify):
    code, output = verify(f"*/5 * * * * {RUN} run-due\n*/10 * * * * {RUN} run-due\n")
    assert code == 0
    assert "line 2 does the same again: harmless" in output


def test_a_job_without_a_line_is_missed_unless_run_due_makes_up_for_it(line, verify):
    printed = line("crontab", "--style", "per-job").out
    without = "".join(entry for entry in printed.splitlines(True)
                      if " purge_sessions --scheduled" not in entry)
    code, output = verify(without)
    assert code == 0
    assert "purge_sessions has no line; run-due makes up for it" in output
    alone = "".join(entry for entry in without.splitlines(True)
                    if not entry.rstrip().endswith("run-due"))
    code, output = verify(alone)
    assert code == 1
    assert "WRONG  purge_sessions has no line\n" in output


def test_a_line_from_before_a_schedule_was_changed_is_reported(line, verify):
    line.ini("[core]\n")
    printed = line("crontab", "--style", "per-job").out
    line.ini("[purge_sessions]\nschedule = 11 17 * * *\n[purge_magic_links]\nenabled = no\n")
    output = verify(printed)[1]
    assert "for its schedule '11 17 * * *' it should be" in output
    assert "purge_magic_links is switched off in config.ini, and is started all the same" in output


def test_a_schedule_that_cron_refuses_is_wrong_in_any_line(verify):
    code, output = verify(f"*/5 * * * * {RUN} run-due\n"
                          f"61 * * * * {RUN} purge_sessions --scheduled\n")
    assert code == 1
    assert "WRONG  line 2: '61 * * * *' is not a valid schedule" in output


def test_without_crontab_a_file_can_be_compared(line):
    answer = line("crontab", "--verify", PATH="/nonexistent")
    assert answer.code == 1
    assert "there is no program `crontab` here" in answer.err
    assert "--installed FILE" in answer.err


def test_installed_alone_makes_no_sense(line):
    assert line("crontab", "--installed", "x").code == 2


def test_a_table_of_the_system_names_a_user():
    from jobs_lib.crontab import installed, lines, program
    where = lines.Place(sys.executable, str(SCRIPT), None, "x")
    entry, = installed.entries(f"*/5 * * * * root {RUN} run-due\n", str(SCRIPT))
    assert program.wrong(entry, where, has_users=True) == ""
    assert "the user root" in program.wrong(entry, where, has_users=False)
