"""Printed lines for cron: each start belongs to a slot of its own, minutes are spread, real cron
takes them; `--install` and `--remove` change our block and nothing else."""
from __future__ import annotations

import os
import re
import shlex
import subprocess
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs_lib import crontab
from tests.support.product import catalogue, schedule
from tests.support.require import program
from tests.support.shell import ROOT, Shell

BEGIN = ["/opt/alt/python311/bin/python3", "/home/you/jobs/jobs.py"]
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def printed(*schedules: str, seed: str = "host:/home/you/jobs") -> list[str]:
    """The per-job lines of jobs of these schedules, and the last one, of run-due; no comments."""
    jobs = [catalogue.load("purge_sessions")._replace(name=f"purge_{number}",
                                                      schedule=schedule.parse(text))
            for number, text in enumerate(schedules)]
    found = crontab.lines("per-job", BEGIN, seed, jobs, zone="UTC", same_clock=True, budget="4m")
    return [words for words in found if words and not words.startswith("#")]


def accepted(text: str, tmp_path) -> str:
    """What real cron says of it, "" for nothing; asked without touching anybody's crontab."""
    command = program("crontab", "cron")
    usage = subprocess.run([command, "-h"], capture_output=True, text=True)
    usage_text = usage.stdout + usage.stderr
    flag = "-T" if re.search(r"-T\b", usage_text) else "-n"
    assert flag == "-T" or "dry run" in usage_text, f"this crontab cannot only check: {usage_text}"
    # by its name alone: Debian's crontab cuts a path at 100 letters
    path = tmp_path / "crontab"
    path.write_text(text)
    run = subprocess.run([command, flag, path.name], cwd=tmp_path, capture_output=True, text=True)
    return "" if run.returncode == 0 else run.stdout + run.stderr


@pytest.mark.parametrize("style", crontab.STYLES)
def test_real_cron_takes_every_style_and_every_line_is_explained(line, tmp_path, style):    # R64
    text = line.run("crontab", "--style", style)
    assert accepted(text, tmp_path) == ""
    assert ("%" in text, "\n#MAILTO=" in text) == (False, True)
    blocks = [block.splitlines() for block in text.split("\n\n")]
    assert all(block[0].startswith("# ") for block in blocks)
    lines = [words for block in blocks for words in block if not words.startswith("#")]
    for words in lines:
        python, script = shlex.split(words)[5:7]
        assert (os.path.isabs(python), os.access(python, os.X_OK)) == (True, True)
        assert (os.path.isabs(script), os.path.isfile(script)) == (True, True)
    jobs = catalogue.names() if style == "per-job" else []
    assert [shlex.split(words)[7:] for words in lines] == [
        *([job, "--scheduled"] for job in jobs), ["run-due"]]


def test_real_cron_takes_the_committed_file_and_any_schedule_and_refuses_nonsense(tmp_path):  # R64
    assert accepted((ROOT / "crontab.txt").read_text(encoding="utf-8"), tmp_path) == ""
    lines = printed("*/5 * * * *", "0 0 * * *", "0 0 * * 0", "30 2 1,15 1-3,12 1",
                    "17 3 * * 5-7", "10-40/10 8-17 */2 * *", "0 */6 * * *", "* * * * *")
    assert accepted("\n".join(lines) + "\n", tmp_path) == ""
    assert accepted("61 * * * * /bin/true\n", tmp_path) != ""


def test_a_path_of_any_signs_reaches_the_shell_as_it_is_or_is_refused(tmp_path):
    def answer(folder: str):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.ini").write_text("")
        return Shell(tmp_path)("--config", f"{folder}/config.ini", "crontab")
    odd = "100% o'jobs $(x)"
    words = answer(odd).out.splitlines()[-1]
    command = words.split(" ", 5)[5]
    assert re.findall(r".?%", command) == ["\\%"]       # cron makes a line end of a bare one
    assert shlex.split(command.replace("\\%", "%"))[2:] == [
        "--config", f"{tmp_path}/{odd}/config.ini", "run-due"]
    assert accepted(words + "\n", tmp_path) == ""
    refused = answer("a\\b")
    assert (refused.code, "cannot be written in a crontab" in refused.err) == (2, True)


def test_what_is_disabled_has_no_line_and_a_changed_schedule_is_printed(line):
    line.ini("[purge_failed_emails]\nenabled = no\n[retry_forwards]\nschedule = */20 * * * *\n")
    text = line.run("crontab", "--style", "per-job")
    assert "purge_failed_emails --scheduled" not in text
    assert "Switched off in config.ini" in text
    assert re.search(r"^\d+-59/20 \* \* \* \* .* retry_forwards --scheduled$", text, re.M)
    line.ini("[retry_forwards]\nschedule = nonsense\n")
    answer = line("crontab")
    assert (answer.code, answer.out) == (78, "")


SCHEDULES = st.one_of(
    st.builds("{} * * * *".format, st.sampled_from(["*/5", "*/15", "0,20", "7", "3-50/9", "*"])),
    st.builds("{} {} * * {}".format, st.sampled_from(["0", "17", "59", "*/20", "5,50"]),
              st.sampled_from(["*", "0", "3", "23", "*/6", "8-17", "1,2,22"]),
              st.sampled_from(["*", "1", "1-5"])))


@given(text=SCHEDULES, key=st.integers(0, 2 ** 32))
@example(text="59 * * * 1", key=5)                # a delay past the hour would leave the day
@example(text="45 23 1 * *", key=59)
@example(text="30 2 * 1,7 1-5", key=59)
@settings(max_examples=100)
def test_every_slot_has_exactly_one_line_of_cron(text, key):        # R64
    """The slot of each start (the latest one, as `--scheduled` reckons it) is a new one, and none
    is left out; minute 0 is avoided, unless no delay avoids it."""
    declared = schedule.parse(text)
    fields, delay = crontab.fields_after(declared, key)
    started, slots = schedule.parse(fields), []
    others = {crontab.fields_after(declared, other)[1] for other in range(60)}
    assert 0 not in started.minutes or len(others) == 1 or text.startswith("* ")
    first = moment = schedule.following(started, schedule.following(declared, START)
                                        - timedelta(minutes=1))
    for _ in range(60):
        slots.append(schedule.previous(declared, moment))
        assert moment - slots[-1] == timedelta(minutes=delay)
        moment = schedule.following(started, moment)
    expected = [schedule.previous(declared, first)]
    while len(expected) < len(slots):
        expected.append(schedule.following(declared, expected[-1]))
    assert slots == expected


def test_installations_are_spread_and_daily_jobs_keep_their_order():     # R64
    ticks, daily = set(), set()
    for number in range(100):
        jobs, seed = ("12 3 * * *", "22 3 * * *", "0 0 * * *"), f"host:/home/user{number}/jobs"
        assert printed(*jobs, seed=seed) == printed(*jobs, seed=seed)
        first, second, midnight, tick = (words.split()[:2] for words in printed(*jobs, seed=seed))
        assert int(second[1]) * 60 + int(second[0]) - int(first[1]) * 60 - int(first[0]) == 10
        assert midnight[1] == "1"               # when not everybody's jobs run
        ticks.add(tick[0])
        daily.add(first[0])
    assert (len(ticks) > 20, len(daily) > 15) == (True, True)


OTHERS = b"MAILTO=me@example.org\n# mine: gr\xfcn\n0 4 * * * /usr/bin/backup\n"


@pytest.fixture
def table(line):
    """The file of a `crontab` program of our own, first in PATH."""
    line.ini("[core]\n")
    return line.own_crontab()


def change(line, *words):
    return line("crontab", *words, PATH=f"{line.folder}/bin:/usr/bin:/bin")


def test_the_block_is_added_once_and_removed_again(line, table):
    table.write_bytes(OTHERS)
    added = change(line, "--install")
    assert (added.code, added.err, " run-due\n" in added.out) == (0, "", True)
    once = table.read_bytes()
    assert once.startswith(OTHERS + b"# --- ")
    assert "Nothing to change" in change(line, "--install").out
    assert table.read_bytes() == once
    # what comes after it stays behind it
    table.write_bytes(once + b"@daily /usr/bin/other\n")
    change(line, "--install", "--style", "per-job")
    assert table.read_bytes().endswith(b": end\n@daily /usr/bin/other\n")
    assert b"purge_sessions --scheduled" in table.read_bytes()
    change(line, "--remove")
    assert table.read_bytes() == OTHERS + b"@daily /usr/bin/other\n"
    assert "Nothing to change" in change(line, "--remove").out


def test_a_user_without_a_crontab_gets_one_and_each_installation_its_own_block(line, table):
    change(line, "--install")
    first = table.read_text()
    (line.folder / "second.ini").write_text("[core]\n")
    change(line, "--install", "--config", str(line.folder / "second.ini"))
    assert table.read_text().startswith(first)
    assert table.read_text().count(" run-due\n") == 2
    left = change(line, "--remove")
    assert table.read_text().count(" run-due\n") == 1
    assert "/second.ini run-due" in left.out                # a line of ours that stays is shown


def test_a_host_that_refuses_is_reported_in_a_sentence(line, table):
    (line.folder / "bin" / "crontab").write_text(
        "#!/bin/sh\necho 'You (me) are not allowed to use this program' >&2\nexit 1\n")
    answer = change(line, "--install")
    assert (answer.code, "cron page" in answer.err) == (1, True)
    assert "You (me) are not allowed to use this program" in answer.err
