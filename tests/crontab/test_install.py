"""`crontab --install` and `--remove`: our block, and nothing else."""
from __future__ import annotations

import sys

import pytest

from tests.support.shell import ROOT

OTHERS = b"MAILTO=me@example.org\n# mine: gr\xfcn\n0 4 * * * /usr/bin/backup\n"
CRONTAB = """#!/bin/sh
case $1 in
-l) [ -e {table} ] && exec cat {table}; echo "no crontab for me" >&2; exit 1 ;;
-) cat >{table}.new && mv {table}.new {table} ;;
esac
"""


@pytest.fixture
def table(line, monkeypatch):
    """The file of a `crontab` program of our own, first in PATH."""
    folder = line.folder / "bin"
    folder.mkdir()
    (folder / "crontab").write_text(CRONTAB.format(table=line.folder / "table"))
    (folder / "crontab").chmod(0o755)
    line.PATH = f"{folder}:/usr/bin:/bin"
    return line.folder / "table"


def crontab(line, *words):
    return line("crontab", *words, PATH=line.PATH)


def test_the_block_is_added_once_and_removed_again(line, table):
    table.write_bytes(OTHERS)
    line.ini("[core]\n")
    added = crontab(line, "--install")
    assert (added.code, added.err) == (0, "")
    assert "Added to the crontab of this user:" in added.out
    assert "runs what is due every 5 minutes" in added.out
    assert table.read_bytes().startswith(OTHERS + b"\n# --- ")
    assert crontab(line, "--verify").code == 0
    once = table.read_bytes()
    assert "has these lines already" in crontab(line, "--install").out
    assert table.read_bytes() == once
    # what comes after it stays behind it
    table.write_bytes(once + b"@daily /usr/bin/other\n")
    replaced = crontab(line, "--install", "--style", "per-job")
    assert "are replaced by" in replaced.out
    assert table.read_bytes().endswith(b": end\n@daily /usr/bin/other\n")
    assert b"purge_sessions --scheduled" in table.read_bytes()
    crontab(line, "--install")
    assert table.read_bytes() == once + b"@daily /usr/bin/other\n"
    table.write_bytes(once)
    assert "Removed from the crontab" in crontab(line, "--remove").out
    assert table.read_bytes() == OTHERS
    assert "has put nothing into the crontab" in crontab(line, "--remove").out


def test_a_user_without_a_crontab_gets_one(line, table):
    assert crontab(line, "--install").code == 0
    assert table.read_text().startswith("# --- ")
    assert crontab(line, "--remove").code == 0
    assert table.read_text() == ""


def test_two_installations_have_a_block_each(line, table):
    crontab(line, "--install")
    first = table.read_text()
    (line.folder / "second.ini").write_text("[core]\n")
    line("crontab", "--install", "--config", str(line.folder / "second.ini"), PATH=line.PATH)
    assert table.read_text().startswith(first)
    assert table.read_text().count(" run-due\n") == 2
    crontab(line, "--remove")
    assert table.read_text().count(" run-due\n") == 1


def test_a_line_put_in_by_hand_is_named_and_stays(line, table):
    own = f"*/5 * * * * {sys.executable} {ROOT / 'jobs.py'} run-due --config {line.folder}/x.ini\n"
    line.ini("[core]\n")
    table.write_text(own.replace("/x.ini", "/config.ini"))
    assert "does the same again" in crontab(line, "--install").out
    answer = crontab(line, "--remove")
    assert "Line 1 was put in by hand and stays" in answer.out


def test_what_would_keep_the_block_silent_is_told_at_once(line, table):
    table.write_text('MAILTO=""\n')
    answer = crontab(line, "--install")
    assert answer.code == 1
    assert "MAILTO is empty in line 1" in answer.out


def test_a_host_that_refuses_is_told_in_a_sentence(line, table):
    (line.folder / "bin" / "crontab").write_text(
        "#!/bin/sh\necho 'You (me) are not allowed to use this program' >&2\nexit 1\n")
    answer = crontab(line, "--install")
    assert answer.code == 1
    assert "You (me) are not allowed to use this program" in answer.err
    assert "cron page" in answer.err
    assert line("crontab", "--install", "--remove").code == 2
