"""What comes and goes is one trouble; what comes and goes all day does not fill a mailbox."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.monitoring import alert_rows
from jobs_lib.monitoring.incidents import Trouble
from tests.support.bench import NOW

TICK = timedelta(minutes=5)


def heard(is_there, days: float = 3) -> list[tuple[timedelta, str]]:
    """What a channel carries of a trouble: (time since the begin, state). `is_there(time)`: whether
    it is seen."""
    rows: dict = {}
    found = []
    for tick in range(int(timedelta(days=days) / TICK)):
        now = NOW + tick * TICK
        trouble = Trouble("failing:x", "failing", "x failed", NOW, "It failed.", "", "history")
        alert_rows.judge(rows, [trouble] if is_there(now - NOW) else [], now)
        for each in alert_rows.pending(rows, "email", now, timedelta(days=1)):
            each.row["email_told_at"] = now
            found.append((now - NOW, each.state))
    return found


def test_a_failure_that_another_job_goes_on_with_is_told_of_no_second_time():        # R60
    rows: dict = {}
    first, second = (Trouble(f"failing:{job}", "failing", f"{job} failed", NOW, "",
                             f"no folder, {number}", "history") for number, job in enumerate("xy"))
    alert_rows.judge(rows, [first], NOW)
    alert_rows.judge(rows, [second], NOW + TICK)
    assert {key: row["subject"] for key, row in rows.items()} == {"failing:x": "y failed"}
    alert_rows.judge(rows, [second._replace(error="something else")], NOW + 2 * TICK)
    assert list(rows) == ["failing:x", "failing:y"]


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def test_what_lasts_is_told_once_a_day():        # R60
    assert heard(lambda time: True) == [(hours(0), "new"), (hours(24), "still"),
                                        (hours(48), "still")]


def test_it_is_over_when_it_has_stayed_away_for_half_an_hour():
    assert heard(lambda time: time < hours(1)) == [(hours(0), "new"), (hours(1.5), "over")]


def test_a_short_absence_is_none():
    assert heard(lambda time: not hours(1) <= time < hours(1.4), days=0.5) == [(hours(0), "new")]


def test_what_comes_and_goes_each_minute_is_one_trouble():       # R60
    assert heard(lambda time: time / TICK % 2 < 1, days=1) == [(hours(0), "new")]


def test_what_comes_and_goes_all_day_has_to_stay_away_longer_and_longer():   # R60
    """Four hours there, four hours not: told as it is at first, and then no longer."""
    states = [state for _, state in heard(lambda time: time % hours(8) < hours(4), days=3)]
    assert states[:4] == ["new", "over", "new", "over"]
    assert len(states) <= 11                    # of 18 changes


def test_after_a_good_day_it_begins_anew():
    states = heard(lambda time: time < hours(1) or hours(30) < time < hours(31), days=2)
    assert [state for _, state in states] == ["new", "over", "new", "over"]
    assert states[-1][0] - hours(31) <= hours(0.5)
