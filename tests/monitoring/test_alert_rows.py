"""An incident that disappears and returns within half an hour is one incident, reported once."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.monitoring.alert_rows import AlertTable
from jobs_lib.monitoring.incidents import Incident
from tests.support.bench import NOW

TICK = timedelta(minutes=5)


def reports(is_there, days: float = 3) -> list[tuple[timedelta, str]]:
    """What a channel reports of an incident: (time since its beginning, state). `is_there(time)`:
    whether the incident is found then."""
    table = AlertTable()
    found = []
    for tick in range(int(timedelta(days=days) / TICK)):
        now = NOW + tick * TICK
        incident = Incident("failing:x", "failing", "x failed", NOW, "It failed.", "", "history")
        table.reconcile([incident] if is_there(now - NOW) else [], now)
        sent = table.pending("email", now, timedelta(days=1))
        table.delivered("email", sent, now)
        found += [(now - NOW, each.state) for each in sent]
    return found


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def test_a_failure_that_moves_to_another_job_is_not_reported_again():        # R60
    table = AlertTable()
    first, second = (Incident(f"failing:{job}", "failing", f"{job} failed", NOW, "",
                              f"no folder, {number}", "history") for number, job in enumerate("xy"))
    table.reconcile([first], NOW)
    table.reconcile([second], NOW + TICK)
    assert {key: row["subject"] for key, row in table.rows.items()} == {"failing:x": "y failed"}
    table.reconcile([second._replace(last_error="something else")], NOW + 2 * TICK)
    assert list(table.rows) == ["failing:x", "failing:y"]


def test_an_incident_that_lasts_is_reported_once_a_day():        # R60
    assert reports(lambda time: True) == [(hours(0), "new"), (hours(24), "still"),
                                          (hours(48), "still")]


def test_an_incident_is_over_when_it_was_not_found_for_half_an_hour():
    assert reports(lambda time: time < hours(1)) == [(hours(0), "new"), (hours(1.5), "over")]


def test_a_short_absence_is_not_reported():
    assert reports(lambda time: not hours(1) <= time < hours(1.4), days=0.5) == [(hours(0), "new")]


def test_an_incident_that_flaps_each_tick_is_one():       # R60
    assert reports(lambda time: time / TICK % 2 < 1, days=1) == [(hours(0), "new")]


def test_each_absence_of_half_an_hour_ends_an_incident_however_often_it_returns():   # R60
    """Four hours there, four hours not: each time one alert and one recovery."""
    assert reports(lambda time: time % hours(8) < hours(4), days=3) == [
        (hours(8 * day + after), state) for day in range(9)
        for after, state in ((0, "new"), (4.5, "over"))]
