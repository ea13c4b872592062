"""A job of priority normal that takes as long as the test sets."""
from tests.support.ticking import ticking

job = ticking(__name__, "normal")
