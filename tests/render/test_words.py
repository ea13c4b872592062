"""Times, durations, columns and paragraphs as people read them."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from jobs_lib.render import layout, times
from jobs_lib.schedule import zone
from jobs_lib.spelling import did_you_mean

NOW = datetime(2026, 11, 24, 22, 30, tzinfo=timezone.utc)


@pytest.mark.parametrize("milliseconds, words", [
    (None, "-"), (0, "0 ms"), (999, "999 ms"), (1000, "1.0 s"), (9_940, "9.9 s"), (12_300, "12 s"),
    (200_000, "3 min 20 s"), (180_000, "3 min"), (3_900_000, "1 h 5 min"), (36_120_000, "10 h"),
])
def test_how_long_a_run_took(milliseconds, words):
    assert times.took(milliseconds) == words


@pytest.mark.parametrize("seconds, words", [
    (-5, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (86400 * 3 + 7200, "3 d 2 h"),
    (86400 * 40 + 7200, "40 d"),
])
def test_a_length_of_time_has_at_most_two_units(seconds, words):
    assert times.span(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize("hours, words", [
    (0, "23:30"), (1, "tomorrow 00:30"), (-24, "yesterday 23:30"), (48, "Thu 26 Nov 23:30"),
    (-24 * 10, "Sat 14 Nov 23:30"), (24 * 200, "2027-06-13 00:30"),         # summer time by then
])
def test_a_moment_is_as_short_as_it_is_clear_in_its_zone(hours, words):
    assert times.moment(NOW + timedelta(hours=hours), NOW, zone("Europe/Berlin")) == words


def test_paragraphs_are_folded_and_tables_are_not():
    text = "One two three\nfour five.\n\n    a   table   that   stays\n    as   it   is\n\nSix."
    assert layout.paragraphs(text, 12) == ["One two", "three four", "five.", "", "    a   table   that   stays",
                                           "    as   it   is", "", "Six."]


def test_pairs_fold_the_meaning_within_its_own_column():
    assert layout.pairs([("a", "one two three"), ("bcd", "four")], 14) == [
        "  a    one two", "       three", "  bcd  four"]


@pytest.mark.parametrize("word, known, said", [
    ("retry", ["retry_forwards", "history"], "; did you mean 'retry_forwards'?"),
    ("purge", ["purge_a_thing", "purge_others", "purge_some", "purge_more", "x"],
     "; did you mean 'purge_a_thing', 'purge_more' or 'purge_others'?"),
    ("retry-forward", ["retry_forwards"], "; did you mean 'retry_forwards'?"),
    ("RUN_DUE", ["run-due"], "; did you mean 'run-due'?"),
    ("--jsno", ["--json", "--limit"], "; did you mean '--json'?"),
    ("xyzzy", ["list", "history"], ""),
    ("", ["list"], ""),
])
def test_the_nearest_known_words_are_told(word, known, said):
    assert did_you_mean(word, known) == said
