"""Long work says in its row how much is done, how fast it goes and when it will be over."""
from __future__ import annotations

import json

import pytest

from tests.support.product import declare


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
