"""`run-as-cron JOB`: the real run in cron's own poor environment, and what cron would mail of
it."""
from __future__ import annotations

import json
import sys

import pytest

from jobs_lib.commands import run_as_cron
from jobs_lib.crontab.lines import Place


@pytest.fixture(autouse=True)
def installation(line):
    """Cron's environment says nothing of where the data is, so config.ini has to."""
    line.ini("")
    assert line("migrate").code == 0


def test_a_good_run_has_nothing_to_mail(line):
    answer = line("run-as-cron", "purge_sessions")
    assert answer.code == 0, answer
    assert answer.out.splitlines()[1:] == [
        "It ended with 0.",
        ("Cron would mail nothing. What is wrong is mailed once; `jobs.py status` shows it as long "
         "as it lasts.")]


def test_what_cron_would_mail_is_shown(line):
    line.ini("[spool]\ndir = nowhere/at/all\n")
    (line.folder / "nowhere").write_text("a file in the way")
    answer = line("run-as-cron", "purge_failed_emails")
    assert answer.code == 1
    assert "It ended with 1.\nCron would mail this:\npurge_failed_emails: " in answer.out


def test_nothing_of_the_shells_environment_is_there(line, tmp_path):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\nexec {sys.executable} \"$@\"\n")
    python.chmod(0o755)
    config = str(line.folder / "config.ini")
    command = run_as_cron.command_of(Place(str(python), str(line.script), config, "seed"),
                                     "run-due")
    assert run_as_cron.started(command).returncode == 0
    seen = dict(words.split("=", 1) for words in (tmp_path / "seen").read_text().splitlines())
    assert seen["PATH"] == "/usr/bin:/bin"
    assert set(seen) <= {"HOME", "LOGNAME", "USER", "SHELL", "PATH", "PWD", "OLDPWD", "SHLVL", "_"}


def test_a_mistyped_job_gets_a_suggestion(line):
    answer = line("run-as-cron", "retry_forwads")
    assert answer.code == 2
    assert "did you mean 'retry_forwards'?" in answer.err


def test_a_word_for_words_line_of_the_crontab(line):
    shown = line("run-as-cron", "run-due").out.splitlines()[0]
    assert shown.removeprefix("$ ") in line("crontab").out
    assert json.loads(line("history", "--json").out) == []
