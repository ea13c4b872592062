"""Our named tuples do what Python's do."""
from __future__ import annotations

import pickle
from collections import namedtuple as python

import pytest

from tests.support.product import namedtuple

ABOUT = "Point", "x y z"
Point, Theirs = (make(*ABOUT, defaults=(2, 3)) for make in (namedtuple, python))
VALUES = {"x": 1, "y": None, "z": "a"}


@pytest.mark.parametrize("values, named", [
    ((1, 2, 3), {}), ((1,), {}), ((1, 5), {}), ((), VALUES), ((1,), {"z": 4}), ((), {"x": 0})])
def test_it_is_made_in_the_same_ways(values, named):
    ours, theirs = Point(*values, **named), Theirs(*values, **named)
    assert ours == theirs == tuple(ours)
    assert (ours.x, ours.y, ours.z) == theirs
    assert repr(ours) == repr(theirs)
    assert ours._asdict() == theirs._asdict()
    assert ours._replace(y=7) == theirs._replace(y=7)
    assert type(ours._replace(y=7)) is Point


def test_nothing_but_its_fields_is_replaced_or_set():
    with pytest.raises(TypeError, match="no field w"):
        Point(1)._replace(w=1)
    with pytest.raises(AttributeError):
        Point(1).x = 2


def test_it_is_pickled_without_a_class_of_it():
    # an app puts what `find_export` returns into its cache
    found = pickle.loads(pickle.dumps(Point(1)))
    assert (found, type(found), Point.__module__) == ((1, 2, 3), Point, __name__)
