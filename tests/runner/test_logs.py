"""The log: whole JSON lines, whoever writes beside us, whatever the disk says."""
from __future__ import annotations

import json
import multiprocessing
import stat
from types import SimpleNamespace

from jobs_lib.runner import log as logs
from jobs_lib.runner.log import Log
from tests.support.databases import NOW

WRITERS, LINES = 4, 1000
LIMIT = 30_000


def log(folder, **how) -> Log:
    core = SimpleNamespace(log_dir=str(folder))
    return Log(core, "dig", now=lambda: NOW, job="dig", run_id="abc", **how)


def lines(path) -> list[dict]:
    """Every line of a log file; one that is no JSON object fails."""
    text = path.read_bytes()
    assert text.endswith(b"\n")
    return [json.loads(line) for line in text.split(b"\n")[:-1]]


def test_whatever_is_logged_is_one_line_of_ascii_and_private(tmp_path):                  # R61
    text = "two\nlines, \x1b[2J, \x9b, \u2028, Grüße, \udcff"
    log(tmp_path / "log").error("odd", text=text, moment=NOW, raw=b"x")
    file = tmp_path / "log" / "dig.log"
    assert file.read_bytes().isascii()
    line, = lines(file)
    assert line["text"] == text
    assert (line["time"], line["level"], line["event"], line["job"], line["run_id"]) == (
        "2026-11-24 14:30:05", "error", "odd", "dig", "abc")
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "denied" in (tmp_path / "log" / ".htaccess").read_text()


def test_a_full_file_is_rotated_by_the_next_run_and_one_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "SIZE", 1000)
    for run in range(20):
        writer = log(tmp_path)
        for number in range(5):
            writer.event("word", number=5 * run + number)
        writer.close()
    names = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("."))
    assert names == ["dig.log", "dig.log.1"]
    kept = [line["number"] for name in reversed(names) for line in lines(tmp_path / name)]
    assert kept == list(range(kept[0], 100))
    assert 1000 <= (tmp_path / "dig.log.1").stat().st_size < 2000


def write_many(folder, writer: int) -> None:
    mine = log(folder, writer=writer)
    for number in range(LINES):
        mine.event("word", number=number, text="x" * (number % 100))


def test_several_writers_lose_and_mix_no_line(tmp_path):     # R61
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=write_many, args=(tmp_path, number))
               for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    found = sorted((line["writer"], line["number"]) for line in lines(tmp_path / "dig.log"))
    assert found == [(writer, number) for writer in range(WRITERS) for number in range(LINES)]


def test_a_full_disk_stops_no_job_and_leaves_whole_lines(maria_site):                    # R61
    """It takes a part of a line, and then nothing; so does a limit on the size. On MariaDB, since
    an SQLite file would be full too."""
    done = maria_site("chatter", "--set", "lines=500", before=("prlimit", f"--fsize={LIMIT}"))
    assert done[:3] == (0, "", "")
    assert maria_site.outcomes("chatter") == ["ok"]
    file = maria_site.folder / "log" / "chatter.log"
    assert LIMIT - 600 < file.stat().st_size < LIMIT
    assert {line["event"] for line in lines(file)} == {"run started", "word"}
