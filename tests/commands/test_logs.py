"""`logs`: a job's log in words, its rotated files too, and what comes next; no line of it can do
anything to a terminal."""
from __future__ import annotations

import json
import signal

import pytest

from jobs_lib.cli.main import main
from jobs_lib.runner.log import Log
from jobs_lib.runner.log_reader import Reader
from tests.support.patience import quickest
from tests.support.shell import until


@pytest.fixture
def logs(tmp_path, capsys, monkeypatch):
    """A function that calls `jobs.py logs WORDS` in this process: (exit code, lines)."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    (tmp_path / "config.ini").write_text("[core]\ndatabase = sqlite:///none.db\nlog_dir = log\n"
                                         "log_files = 3\ntimezone = Europe/Berlin\n")
    (tmp_path / "log").mkdir(mode=0o700)

    def ask(*words: str) -> tuple[int, list[str]]:
        code = main(["--config", str(tmp_path / "config.ini"), "logs", *words])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, (printed.out + printed.err).splitlines()
    ask.file = tmp_path / "log" / "retry_forwards.log"
    return ask


def line(event: str = "forward", level: str = "info", **fields) -> str:
    return json.dumps({"time": "2026-11-24 15:32:39", "level": level, "event": event,
                       "job": "retry_forwards", "run_id": "a9b5", **fields}) + "\n"


def test_each_event_is_a_line_in_words_in_the_operators_zone(logs):      # R61
    logs.file.write_text(
        line("run started", trigger="scheduled", slot="2026-11-24 15:30:00")
        + line("forward", "warning", id=4, attempt=3, outcome="retry", code=451, enhanced=None,
               to="j***@home.example", next_attempt_at="2026-11-26 15:32:38")
        + line("purge", before={"created_at": "2026-11-20 00:00:00"}, deleted=2)
        + line("run ended", "error", status="failed", duration_ms=1234, counts={"sent": 2},
               stop_reason=None, error="no route")
        + line("exception", "error", traceback="Traceback\n  File x\nKeyError: 'a'\n"))
    code, found = logs("retry_forwards")
    assert (code, found) == (0, [
        "2026-11-24 16:32:39          run started: by cron, for 2026-11-24 16:30:00",
        ("2026-11-24 16:32:39  warning forward: id 4, attempt 3, outcome retry, code 451, "
         "to j***@home.example, next attempt at 2026-11-26 16:32:38"),
        "2026-11-24 16:32:39          purge: before created at 2026-11-20 01:00:00, deleted 2",
        "2026-11-24 16:32:39  error   run ended: failed in 1.2 s; 2 sent; no route",
        "2026-11-24 16:32:39  error   exception: traceback ... KeyError: 'a'"])


@pytest.mark.parametrize("damaged", [
    b'{"time": "2026-11-24 15:3', b"", b"[]", b"null", b"\xff\xfe\x00", b'{"event": ""}',
    b"[" * 5000, b'{"time": 7, "level": "info"}'])
def test_a_damaged_line_is_shown_as_unknown_and_the_others_as_ever(logs, damaged):
    logs.file.write_bytes(line(id=1).encode() + damaged + b"\n" + line(id=2).encode())
    code, found = logs("retry_forwards")
    assert (code, len(found)) == (0, 3)
    assert "unknown " in found[1]
    assert "line that cannot be read" in found[1]
    assert [found[0][-5:], found[2][-5:]] == [" id 1", " id 2"]
    assert len(found[1]) < 130


def test_values_that_make_no_sense_stop_nothing(logs):
    logs.file.write_text(
        line("run ended", status=None, duration_ms="x", counts=[1]) + line("forward", id={"a": []})
        + line(5) + line("purge", at=1e400, until="never", slot=True)
        + line("run started", trigger=[1], slot=7) + json.dumps({"event": [1], "time": {}}) + "\n")
    code, found = logs("retry_forwards")
    assert (code, len(found)) == (0, 6)


def test_no_control_character_reaches_a_terminal(logs):
    logs.file.write_text(line("forward", subject="a\x1b[31mb\rc\u202ed\x9be\x07f\nno line"))
    found, = logs("retry_forwards")[1]
    assert found.endswith("forward: subject a [31mb c d e f no line")
    assert found.isprintable()


def test_the_last_ones_are_shown_from_rotated_files_too(logs):
    for age, numbers in (("", (7, 8)), (".1", (5, 6)), (".2", (1, 2, 3, 4))):
        logs.file.with_name(logs.file.name + age).write_text(
            "".join(line(id=number) for number in numbers))
    assert [text[-1] for text in logs("retry_forwards")[1]] == list("12345678")
    assert [text[-1] for text in logs("retry_forwards", "--limit", "5")[1]] == list("45678")
    events = json.loads(logs("retry_forwards", "--limit", "3", "--json")[1][0])
    assert [event["id"] for event in events] == [6, 7, 8]


def test_no_log_yet_a_name_that_is_none_and_a_json_that_follows(logs):
    assert logs("retry_forwards") == (0, [(
        f"There is nothing in {logs.file} yet. A run of retry_forwards writes it.")])
    assert logs("run-due")[0] == logs("retry_forwards#1")[0] == 0
    code, (sentence,) = logs("retry_forward")
    assert (code, "did you mean 'retry_forwards'?" in sentence) == (2, True)
    for name in ("../config", "", "/etc/passwd"):
        assert logs(name)[0] == 2
    assert logs("jobs", "-f", "--json")[0] == 2


def test_following_leaves_out_nothing_across_rotations(tmp_path):
    log = Log(str(tmp_path), "x", size=150, files=3, run_id="r")
    log.event("one", number=1)
    reader = Reader(log.path, 3)
    assert len(reader.last(10)) == 1
    assert reader.more() == []
    for number in range(2, 9):              # about two a file
        log.event("one", number=number)
        if number in (3, 8):
            seen = [json.loads(each)["number"] for each in reader.more()]
            assert seen == ([2, 3] if number == 3 else [4, 5, 6, 7, 8])
    log.close()
    assert (tmp_path / "x.log.2").exists()


def test_following_waits_for_the_file_and_for_the_end_of_a_line(tmp_path):
    path = tmp_path / "x.log"
    reader = Reader(str(path), 3)
    assert reader.last(10) == reader.more() == []
    path.write_bytes(b"whole\nha")
    assert reader.more() == [b"whole"]
    with path.open("ab") as file:
        file.write(b"lf\n")
    assert reader.more() == [b"half"]
    path.unlink()                           # an operator may delete it at any time
    assert reader.more() == []
    path.write_bytes(b"new\n")
    assert reader.more() == [b"new"]
    path.write_bytes(b"")
    assert reader.more() == []
    path.write_bytes(b"a\n")
    assert reader.more() == [b"a"]


def test_a_large_log_is_read_from_its_end(tmp_path):
    path = tmp_path / "x.log"
    path.write_bytes(b"".join(b"%d %s\n" % (number, b"x" * 1000) for number in range(20_000)))
    def read():
        found = Reader(str(path), 3).last(3)
        assert [each.split()[0] for each in found] == [b"19997", b"19998", b"19999"]
    assert quickest(read, 0.5)


def test_follow_prints_at_once_and_ends_by_ctrl_c(line, tmp_path):
    line.ini("[core]\ndatabase = sqlite:///none.db\nlog_dir = log\n")
    log = Log(str(tmp_path / "log"), "retry_forwards", size=10_000, files=3, run_id="r")
    log.event("first")
    process = line.start("logs", "retry_forwards", "-f", stdout=(tmp_path / "out").open("w"))
    until(lambda: "first" in (tmp_path / "out").read_text())
    log.event("second")
    until(lambda: "second" in (tmp_path / "out").read_text())
    process.send_signal(signal.SIGINT)
    assert (process.communicate(timeout=60)[1], process.returncode) == ("", 0)
    log.close()


def test_colours_are_for_terminals(line, tmp_path):
    line.ini("[core]\ndatabase = sqlite:///none.db\nlog_dir = log\n")
    log = Log(str(tmp_path / "log"), "retry_forwards", size=10_000, files=3, run_id="r")
    log.error("run stuck", reason="x")
    assert "\x1b[31m" in "".join(line.on_terminal("logs", "retry_forwards", NO_COLOR=""))
    assert "\x1b" not in "".join(line.on_terminal("logs", "retry_forwards"))
    assert "\x1b" not in line.run("logs", "retry_forwards")
    log.close()
