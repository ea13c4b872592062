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

from tests.support.product import Console, declare


@pytest.mark.parametrize("reports, shown", [
    ([{"done": 100, "total": 1000}, {"done": 400, "total": 1000}],
     {"done": 400, "total": 1000, "rate": 30, "seconds_left": 21}),
    ([{"done": 0, "total": 40}, {"done": 4, "total": 40}],
     {"done": 4, "total": 40, "rate": 0.4, "seconds_left": 91}),
    # it knows its rate itself
    ([{"done": 0, "total": 1000}, {"done": 500, "total": 1000, "rate": 100}],
     {"done": 500, "total": 1000, "rate": 100, "seconds_left": 6}),
    # a count that starts again is judged by itself
    ([{"done": 900, "total": 1000}, {"done": 0, "total": 50}, {"done": 20, "total": 50}],
     {"done": 20, "total": 50, "rate": 2.0, "seconds_left": 16}),
    ([{"done": 0, "total": 10}, {"done": 10, "total": 10}],
     {"done": 10, "total": 10, "rate": 1.0}),
    ([{"done": 0, "total": 10}, {"done": 10}], {"done": 10}),
], ids=["in time", "slow", "own rate", "starts again", "done", "no total"])
def test_the_rate_and_the_time_left_are_in_the_row_of_the_run(bench, reports, shown):
    def job(ctx):
        for report in reports:
            ctx.progress(**report)
            ctx.sleep(10)
        return {}
    made = declare(schedule="@daily", idempotency="Counts.")(job)
    bench.run(made._replace(name="purge_everything"))
    assert json.loads(bench.rows("job_runs")[-1]["progress"]) == shown


@pytest.mark.parametrize("columns, report, shown", [
    (120, (250, 1000, 25, 31), "[######..................] 250 of 1,000, 25 a second, 31 s left"),
    (120, (250, 1000), "[######..................] 250 of 1,000"),
    # where it is narrow the bar gives way to the words
    (72, (2_500_000, 5_000_000, 180_000, 14),
     "2,500,000 of 5,000,000, 180,000 a second, 14 s left"),
    (80, (250_000, 500_000, 1800, 140),
     "[###...] 250,000 of 500,000, 1,800 a second, 2 min 20 s left")])
def test_a_terminal_shows_the_bar_the_rate_and_the_time_left(monkeypatch, columns, report, shown):
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLUMNS", raising=False)
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        Console(0).progress("purge_message_logs", *report)
        seen = os.read(ours, 1000).decode()
    os.close(ours)
    assert seen.replace("\r\x1b[K", "") == f"purge_message_logs {shown}"
