"""`crontab --install` and `--remove`: our block, and nothing else."""
from __future__ import annotations

import pytest

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
    line.ini("[core]\n")
    return line.folder / "table"


def crontab(line, *words):
    return line("crontab", *words, PATH=line.PATH)


def test_the_block_is_added_once_and_removed_again(line, table):
    table.write_bytes(OTHERS)
    added = crontab(line, "--install")
    assert (added.code, added.err) == (0, "")
    assert " run-due\n" in added.out
    once = table.read_bytes()
    assert once.startswith(OTHERS + b"\n# --- ")
    assert "Nothing to change" in crontab(line, "--install").out
    assert table.read_bytes() == once
    # what comes after it stays behind it
    table.write_bytes(once + b"@daily /usr/bin/other\n")
    crontab(line, "--install", "--style", "per-job")
    assert table.read_bytes().endswith(b": end\n@daily /usr/bin/other\n")
    assert b"purge_sessions --scheduled" in table.read_bytes()
    crontab(line, "--install")
    assert table.read_bytes() == once + b"@daily /usr/bin/other\n"
    crontab(line, "--remove")
    assert table.read_bytes() == OTHERS + b"@daily /usr/bin/other\n"
    assert "Nothing to change" in crontab(line, "--remove").out


def test_a_user_without_a_crontab_gets_one_and_each_installation_its_own_block(line, table):
    crontab(line, "--install")
    first = table.read_text()
    assert first.startswith("# --- ")
    (line.folder / "second.ini").write_text("[core]\n")
    line("crontab", "--install", "--config", str(line.folder / "second.ini"), PATH=line.PATH)
    assert table.read_text().startswith(first)
    assert table.read_text().count(" run-due\n") == 2
    left = crontab(line, "--remove")
    assert table.read_text().count(" run-due\n") == 1
    assert "/second.ini run-due" in left.out                # a line of ours that stays is shown


def test_a_host_that_refuses_is_reported_in_a_sentence(line, table):
    (line.folder / "bin" / "crontab").write_text(
        "#!/bin/sh\necho 'You (me) are not allowed to use this program' >&2\nexit 1\n")
    answer = crontab(line, "--install")
    assert answer.code == 1
    assert "You (me) are not allowed to use this program" in answer.err
    assert "cron page" in answer.err
    assert line("crontab", "--install", "--remove").code == 2
