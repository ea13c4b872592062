"""A job of priority critical that takes as long as the test sets."""
from tests.support.ticking import ticking

job = ticking(__name__, "critical")
