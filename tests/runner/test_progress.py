"""Long work says how much is done, how fast it goes and when it will be over: on a terminal and in
its row."""
from __future__ import annotations

import json
import os
import pty
import struct
import sys
from fcntl import ioctl
from termios import TIOCSWINSZ

import pytest

from jobs_lib.job import declare
from jobs_lib.output.console import Console


def progress(bench, *reports: dict, seconds: float = 10.0) -> dict:
    """What the row says after a run that made these reports, so many seconds apart."""
    def job(ctx):
        for report in reports:
            ctx.progress(**report)
            ctx.sleep(seconds)
        return {}
    bench.run(declare(schedule="@daily",
                      idempotency="Counts.")(job)._replace(name="purge_everything"))
    return json.loads(bench.rows("job_runs")[-1]["progress"])


def test_the_rate_and_the_time_left_are_worked_out_from_the_reports(bench):
    assert progress(bench, {"done": 100, "total": 1000}, {"done": 400, "total": 1000}) == {
        "done": 400, "total": 1000, "rate": 30, "seconds_left": 21}


def test_slow_work_has_a_rate_too(bench):
    assert progress(bench, {"done": 0, "total": 40}, {"done": 4, "total": 40})["rate"] == 0.4


def test_a_job_that_knows_its_rate_reports_it(bench):
    assert progress(bench, {"done": 0, "total": 1000}, {"done": 500, "total": 1000,
                                                        "rate": 100}) == {
        "done": 500, "total": 1000, "rate": 100, "seconds_left": 6}


@pytest.mark.parametrize("last", [{"done": 10, "total": 10}, {"done": 0, "total": 10},
                                  {"done": 10}])
def test_no_time_is_left_or_it_is_not_known(bench, last):
    assert "seconds_left" not in progress(bench, {"done": 0, "total": 10}, last)


def test_a_count_that_starts_again_is_judged_by_itself(bench):
    assert progress(bench, {"done": 900, "total": 1000}, {"done": 0, "total": 50},
                    {"done": 20, "total": 50}) == {
        "done": 20, "total": 50, "rate": 2.0, "seconds_left": 16}


def bar(monkeypatch, columns: int, *report) -> str:
    """What Console.progress draws on a terminal of that width."""
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLUMNS", raising=False)
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        Console(0).progress("purge_message_logs", *report)
        seen = os.read(ours, 1000).decode()
    os.close(ours)
    return seen.replace("\r\x1b[K", "")


def test_a_terminal_shows_the_bar_the_rate_and_the_time_left(monkeypatch):
    assert bar(monkeypatch, 120, 250, 1000, 25, 31) == (
        "purge_message_logs [######..................] 250 of 1,000, 25 a second, 31 s left")
    assert bar(monkeypatch, 120, 250,
               1000) == "purge_message_logs [######..................] 250 of 1,000"


def test_on_a_narrow_terminal_the_bar_gives_way_to_the_words(monkeypatch):
    assert bar(monkeypatch, 72, 2_500_000, 5_000_000, 180_000, 14) == (
        "purge_message_logs 2,500,000 of 5,000,000, 180,000 a second, 14 s left")
    assert bar(monkeypatch, 80, 250_000, 500_000, 1800, 140) == (
        "purge_message_logs [###...] 250,000 of 500,000, 1,800 a second, 2 min 20 s left")
