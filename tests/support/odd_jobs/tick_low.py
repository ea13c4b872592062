"""A job of priority low that takes as long as the test sets."""
from tests.support.ticking import ticking

job = ticking(__name__, "low")
