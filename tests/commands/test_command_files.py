"""Commands by file: done once by the next tick, answered beside it, and nothing else is followed.

# R77
"""
from __future__ import annotations

import os
import stat
import subprocess
import sys
import time

import pytest

from jobs_lib import commands
from jobs_lib.commands import _command_files, run_due
from jobs_lib.config import loader
from jobs_lib.output.console import Console
from jobs_lib.runner import locks
from jobs_lib.runner.resources import Ports, Session
from tests.support.shell import ROOT, Shell, ended, until

SAFE = {"status", "list", "history", "doctor", "pause", "resume", "stop", "replay",
        "config", "queue", "show", "cancel", "adopt"}


@pytest.fixture
def site(tmp_path, sqlite_url):
    made = Shell(tmp_path, sqlite_url)
    yield made
    made.close()


@pytest.fixture
def folder(site):
    path = site.folder / "state" / "commands"
    path.mkdir(parents=True, mode=0o700)
    return path


def drop(folder, name: str, text: str | bytes, age: float = 60, mode: int = 0o600):
    """A file as an FTP program leaves it, so many seconds ago."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    os.utime(path, (time.time() - age,) * 2)
    return path


def look(site) -> None:
    """What a tick does with the files, in this process."""
    config = loader.load(None, beside=str(site.folder), environ={})
    ports = Ports(config)
    run_due.do_command_files(Session(config, ports, Console(-1)),
                             config.section("core").state_dir)
    ports.close()


def names(folder) -> list[str]:
    return sorted(os.listdir(folder))


def refusal(site, folder, name: str) -> str:
    """Why a file is refused; it is put aside."""
    look(site)
    assert names(folder) == [f"{name}.answer.txt", f"{name}.refused"]
    return (folder / f"{name}.answer.txt").read_text()


# What is done

def test_a_tick_does_the_command_and_answers_beside_it(site, folder):        # R77
    drop(folder, "stop-mail", "# no more\r\npause retry_forwards\r\n")
    assert site("run-due").code == 0
    assert names(folder) == ["stop-mail.answer.txt"]
    answer = folder / "stop-mail.answer.txt"
    assert answer.read_text().startswith("The command ended with 0, 20")
    assert "\n\nretry_forwards is paused: " in answer.read_text()
    assert stat.S_IMODE(answer.stat().st_mode) == 0o600
    assert site.db.value("SELECT COUNT(*) AS number FROM {job_state} "
                         "WHERE job = 'retry_forwards' AND paused_at IS NOT NULL") == 1
    log = (site.folder / "log" / "run-due.log").read_text()
    assert '"command file"' in log


@pytest.mark.parametrize("text", [
    "python3 jobs.py replay forward 99", "jobs.py replay forward 99\n",
    "\ufeffreplay  forward 99", "/usr/bin/python3 /home/you/jobs/jobs.py replay 'forward' 99"])
def test_a_command_may_be_written_as_it_is_typed(site, folder, text):
    drop(folder, "again.txt", text)
    look(site)
    answer = (folder / "again.txt.answer.txt").read_text()
    assert answer.startswith("The command ended with 1, ")
    assert "forward 99: refused, there is no such row" in answer


def test_a_dry_run_may_be_asked_for(site, folder):
    drop(folder, "what", "purge_sessions --dry-run")
    look(site)
    assert "purge_sessions, dry run: nothing is changed" in (folder / "what.answer.txt").read_text()


def test_it_is_done_while_another_tick_is_at_work(site, folder):        # R77
    """Or no file could stop a run."""
    lock = locks.FileLock(str(site.folder / "state"), "run-due")
    lock.acquire("another tick")
    drop(folder, "now", "list")
    assert site.run("run-due", "-v") == "another run-due is still at work\n"
    assert names(folder) == ["now.answer.txt"]
    lock.release()


@pytest.mark.parametrize("how", ["relative", "no file"])
def test_the_command_has_the_configuration_of_the_tick(site, folder, how):
    drop(folder, "a", "config show core")
    if how == "relative":
        done = site("run-due", "--config", "config.ini")
    else:
        (site.folder / "config.ini").rename(site.folder / "aside.ini")
        done = site("run-due", JOBS_CORE_DATABASE=site.url, JOBS_CORE_LOG_DIR=str(site.folder),
                    JOBS_CORE_STATE_DIR=str(site.folder / "state"), JOBS_SPOOL_DIR=str(site.spool))
    assert names(folder) == ["a.answer.txt"], done
    answer = (folder / "a.answer.txt").read_text()
    assert answer.startswith("The command ended with 0, ")
    assert str(site.folder / "state") in answer


def test_a_wrong_command_is_answered_by_its_own_error(site, folder):
    drop(folder, "typo", "pause retry_forward")
    look(site)
    answer = (folder / "typo.answer.txt").read_text()
    assert answer.startswith("The command ended with 2, ")
    assert "did you mean 'retry_forwards'?" in answer


def test_a_second_file_of_that_name_is_another_command(site, folder):
    drop(folder, "a", "list")
    look(site)
    drop(folder, "a", "pause mail")
    look(site)
    assert "ended with 2" in (folder / "a.answer.txt").read_text()


def test_so_many_in_a_tick_and_no_more(site, folder, monkeypatch):       # R77
    monkeypatch.setattr(_command_files, "MOST_FILES", 2)
    for name in "cab":
        drop(folder, name, "config example")            # refused: quick
    look(site)
    assert names(folder) == ["a.answer.txt", "a.refused", "b.answer.txt", "b.refused", "c"]


# What is not done

def test_what_may_be_asked_for_is_declared_by_each_command():        # R77
    allowed = set(_command_files.allowed())
    assert allowed <= SAFE
    assert {"status", "resume", "replay", "stop"} <= allowed
    assert [name for name in commands.names() if name in (
        "migrate", "run-due", "demo", "bundle", "worker", "test", "crontab")
        and name in allowed] == []


@pytest.mark.parametrize("text, why", [
    ("migrate", "`migrate` cannot be asked for by a file; these can: "),
    ("run-due", "`run-due` cannot be asked for by a file"),
    ("config set mail.host evil.example", "of `config`, only check and show can be asked for"),
    ("config", "after `config` comes check or show"),
    ("purge_sessions --yes", "by a file only `purge_sessions --dry-run` can be asked for"),
    ("statsu", "there is no such command; did you mean 'status'"),
    ("status --config=/tmp/other.ini", "--config cannot be given here"),
    ("status --config /tmp/other.ini", "--config cannot be given here"),
    ("pause retry_forwards\nresume retry_forwards", "it holds several lines"),
    ("# nothing\n", "it holds no command"),
    ("jobs.py", "it holds no command"),
    ("replay 'forward 1", "it has a quote that does not end"),
    (b"pause \xff", "it is no text in UTF-8"),
    ("status " + "x" * 1000, "it has more than 1,000 bytes"),
])
def test_what_is_refused_says_why(site, folder, text, why):          # R77
    drop(folder, "a", text)
    found = refusal(site, folder, "a")
    assert found.startswith("Refused, nothing was done: ")
    assert why in found


def test_no_link_is_followed(site, folder, tmp_path):               # R77
    target = drop(tmp_path, "target", "pause retry_forwards")
    (folder / "a").symlink_to(target)
    assert "it is a link, which is not followed" in refusal(site, folder, "a")
    assert target.read_text() == "pause retry_forwards"
    assert (folder / "a.refused").is_symlink()


def test_no_second_name_of_a_file(site, folder, tmp_path):
    os.link(drop(tmp_path, "target", "pause retry_forwards"), folder / "a")
    assert "a hard link" in refusal(site, folder, "a")


def test_no_folder_and_no_pipe(site, folder):
    (folder / "a").mkdir()
    assert "it is no file" in refusal(site, folder, "a")
    os.rmdir(folder / "a.refused")
    os.mkfifo(folder / "a")
    assert "it is no file" in refusal(site, folder, "a")
    (folder / "a").mkdir()                  # again, where one is put aside already
    look(site)
    assert "a" not in names(folder)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_no_file_that_others_can_write_to(site, folder, mode):      # R77
    drop(folder, "a", "status", mode=mode)
    assert "others can write to it: set its mode to 600" in refusal(site, folder, "a")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_no_file_and_no_folder_of_another_user(site, folder):       # R77
    os.chown(drop(folder, "a", "status"), 65534, -1)
    assert "it belongs to another user" in refusal(site, folder, "a")
    os.chown(folder, 65534, -1)
    drop(folder, "b", "status")
    look(site)
    assert "b" in names(folder)


def test_a_folder_that_others_can_write_to_is_closed_first(site, folder):       # R77
    drop(folder, "a", "status")
    folder.chmod(0o777)
    assert "others could write to the folder commands" in refusal(site, folder, "a")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_is_a_link_is_none(site, folder, tmp_path):
    drop(folder, "a", "status")
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    look(site)
    assert names(tmp_path / "elsewhere") == ["a"]


@pytest.mark.parametrize("name", ["a\nb", "b\x1b[2J", "d" * 101, "\u202ee"])
def test_odd_names_are_put_aside(site, folder, name):
    drop(folder, name, "status")
    look(site)
    answer, refused = names(folder)
    assert answer.startswith("unusable-name-")
    assert refused == answer.replace(".answer.txt", ".refused")


# Uploads

def test_a_file_that_may_still_be_uploaded_is_left_alone(site, folder):     # R77
    """Half of `replay forward 16` is `replay forward 1`."""
    drop(folder, "young", "replay forward 1", age=2)
    drop(folder, "empty", "", age=60)
    look(site)
    assert names(folder) == ["empty", "young"]
    drop(folder, "empty", "", age=4000)
    look(site)
    assert "empty.refused" in names(folder)


def test_a_time_in_the_future_stops_nothing(site, folder):
    drop(folder, "a", "config example", age=-86400)
    look(site)
    assert names(folder) == ["a.answer.txt", "a.refused"]


# Killed

POINTS = ["jobs_lib.commands._command_files:CommandFiles._run:before",
          "jobs_lib.commands._command_files:CommandFiles._run:after"]


@pytest.mark.parametrize("point", POINTS)
def test_after_a_kill_it_is_never_done_again(site, folder, point):       # R77
    drop(folder, "a", "pause retry_forwards")
    assert site("run-due", kill=point).code == -9
    assert names(folder) == ["a.taken"]
    paused = "SELECT paused_at FROM {job_state} WHERE job = 'retry_forwards'"
    was = site.db.value(paused)
    assert (was is not None) is point.endswith("after")
    look(site)
    assert names(folder) == ["a.answer.txt"]
    text = (folder / "a.answer.txt").read_text()
    assert text.startswith("The command was interrupted, ")
    assert "It may have been done" in text
    assert site.db.value(paused) == was


def test_killed_before_it_was_taken_it_is_done_by_the_next_tick(site, folder):
    drop(folder, "a", "pause retry_forwards")
    point = "jobs_lib.commands._command_files:CommandFiles._take:before"
    assert site("run-due", kill=point).code == -9
    assert names(folder) == ["a"]
    look(site)
    assert "is paused" in (folder / "a.answer.txt").read_text()


def test_killed_after_its_answer_the_answer_stays(site, folder):        # R77
    drop(folder, "a", "pause retry_forwards")
    point = "jobs_lib.commands._command_files:CommandFiles.answer:after"
    assert site("run-due", kill=point).code == -9
    assert names(folder) == ["a.answer.txt", "a.taken"]
    look(site)
    assert names(folder) == ["a.answer.txt"]
    assert "is paused" in (folder / "a.answer.txt").read_text()


def test_a_command_at_work_is_no_dead_one_and_two_ticks_do_it_once(site, folder):      # R77
    drop(folder, "a", "list")
    first = [site.start("run-due") for _ in range(4)]
    for process in first:
        assert ended(process, time.monotonic()).code == 0
    until(lambda: names(folder) == ["a.answer.txt"])
    log = (site.folder / "log" / "run-due.log").read_text()
    assert log.count('"command file"') == 1


# The cost

def test_answers_that_lie_there_cost_a_tick_nothing_more(site, folder):     # R77
    (folder / "a.answer.txt").write_text("done")
    (folder / "b.refused").write_text("done")
    code = (f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
            "from jobs_lib.cli import main; main.main(['run-due'])\n"
            "print('jobs_lib.commands._command_files' in sys.modules)")
    out = subprocess.run([sys.executable, "-c", code], cwd=site.folder, capture_output=True,
                         text=True, env=site.environment(), check=True).stdout
    assert out.endswith("False\n")


def test_old_answers_are_removed(site, folder):
    drop(folder, "a.answer.txt", "done", age=31 * 86400)
    drop(folder, "b.answer.txt", "done", age=29 * 86400)
    drop(folder, "c", "config example")
    look(site)
    assert names(folder) == ["b.answer.txt", "c.answer.txt", "c.refused"]
