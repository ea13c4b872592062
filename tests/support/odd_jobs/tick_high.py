"""A job of priority high that takes as long as the test sets."""
from tests.support.ticking import ticking

job = ticking(__name__, "high")
