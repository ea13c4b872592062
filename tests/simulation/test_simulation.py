"""Days of a small service pass, and its rules are kept: with a fresh seed, and with all that have
once failed."""
import os
from pathlib import Path

import pytest

from tests.simulation import faults, mutate
from tests.simulation.faults import DAY, HOUR, Fault
from tests.simulation.story import play

KEPT = [line.partition("#")[0].split() for line in
        (Path(__file__).parent / "kept.txt").read_text().splitlines() if line[:1].isdigit()]


@pytest.mark.parametrize("days, minutes", [
    (3, 3), pytest.param(60, 1 / 3, marks=pytest.mark.slow)])      # it needs some seconds
def test_a_fresh_seed_breaks_no_rule(alone, days, minutes):    # R76
    seed = int.from_bytes(os.urandom(3), "big")
    while len({fault.at // DAY for fault in faults.draw(seed, 4, ["aim"])}) < 2:
        seed += 1                           # one whose days have kills, each day at another job
    played = alone(play, seed, days, minutes, faults=faults.draw(seed, days + 1))
    assert not played.wrong, f"seed {seed}"
    assert played.counts["ticks"] > 15, f"seed {seed}"
    kills = sum(number for name, number in played.counts.items() if "SIGKILL" in name)
    assert kills > 3, f"seed {seed}"


@pytest.mark.slow
@pytest.mark.parametrize("seed, days, engine, kinds", KEPT)
def test_what_once_failed_does_not_fail_again(seed, days, engine, kinds, request, alone):    # R76
    server = request.getfixturevalue("mariadb") if engine == "mariadb" else None
    url = server.database() if server else None
    planned = faults.draw(int(seed), int(days), None if kinds == "all" else kinds.split(","))
    assert not alone(play, int(seed), int(days), url=url, faults=planned).wrong
    if server:
        server.drop(url)


@pytest.mark.slow
def test_a_seed_tells_the_same_story_on_both_engines_and_twice(mariadb, alone):    # R76
    url = mariadb.database()
    # a day in which ids differ: MariaDB leaves gaps behind an INSERT of several rows
    planned = [fault for fault in faults.draw(6, 2, alike=True) if fault.at < DAY]
    assert sum(fault.kind in ("strike", "aim") for fault in planned) > 20
    played = [alone(play, 77, 1, url=url, faults=planned) for url in (None, None, url)]
    assert [each.wrong for each in played] == ["", "", ""]
    assert played[0].told == played[1].told
    assert played[0].told == played[2].told
    assert len({each.digest for each in played}) == 1
    assert played[0].counts["ticks"] > 15
    mariadb.drop(url)


@pytest.mark.slow
def test_each_kind_of_fault_is_met_and_survived(alone):    # R76
    planned = {
        Fault(1 * HOUR, "strike", ("after message", 1, 9)): "SIGKILL after message",
        Fault(3 * HOUR, "strike", ("before statement", 50, 15)): "SIGTERM before statement",
        Fault(5 * HOUR, "strike", ("after commit", 10, 19)): "SIGSTOP after commit",
        Fault(9 * HOUR, "spell", ("relay", "silent", 3 * HOUR)): " lost",
        Fault(10 * HOUR, "aim", ("rollup_usage", "after commit", 2, 9)): "of rollup_usage",
        Fault(12 * HOUR, "database", ("busy in mid-run", HOUR)): "was writing for more than",
        Fault(13 * HOUR, "database", ("busy", 2 * HOUR)): "was writing for more than",
        Fault(16 * HOUR, "database", ("gone", 2 * HOUR)): "ends with 1",
        Fault(18 * HOUR, "cron", (2 * HOUR,)): "cron is away",
        Fault(20 * HOUR, "clock", (-2 * HOUR, 3 * HOUR)): "the clock is right again"}
    played = alone(play, 2, 1, faults=[*planned])
    assert not played.wrong
    assert played.seconds >= DAY
    told = [words[21:] for words in played.told]
    for fault, met in planned.items():
        since = told.index(faults.words(fault))
        assert any(met in words for words in told[since + (fault.kind != "cron"):]), fault


@pytest.mark.slow
@pytest.mark.parametrize("name", faults.CATASTROPHES)
def test_each_catastrophe_is_met_and_survived(alone, name):    # R76, R79, R81, R82
    planned = [Fault(1 * DAY + 20 * HOUR, "catastrophe", (name, 30 * HOUR))]
    played = alone(play, 5, 5, faults=planned)
    assert not played.wrong
    assert any(words.endswith(f"over: {name}") for words in played.told)


@pytest.mark.slow
def test_a_fault_in_the_product_is_found_and_so_said(alone):    # R76
    assert ": found on day " in alone(mutate.search, "retried-an-hour-early", days=8)
