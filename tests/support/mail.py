"""What the tests of the mail port send, and the `[mail]` section they send it by."""
from __future__ import annotations

import time
import types

from tests.support.product import LIMITS, PAUSE_PATTERNS, Envelope

ENVELOPE = Envelope("bounces@service.example", "owner@home.example")
CONTENT = (b"From: a@b.example\r\nTo: c@d.example\r\nMessage-ID: <1@b.example>\r\nSubject: "
           b"Hello\r\n\r\nText.\r\n")


def short(*phases: str):
    """Limits that are short for those phases, in which a relay hangs. The others keep minutes, or a
    busy machine would be taken for a relay that hangs."""
    return limits(margin=0, **dict.fromkeys(phases, 0.5))


def limits(**seconds: float) -> dict:
    """Other limits for these phases."""
    names = {name.lower(): name for name in LIMITS}
    return {**LIMITS, **{names[phase]: each for phase, each in seconds.items()}}


def section(**changes):
    """A `[mail]` section as `cfg.section("mail")` gives it."""
    values = {"transport": "smtp", "maildir": "", "host": "127.0.0.1", "port": 25,
              "security": "none",
              "username": "", "password": "", "ca_file": "", "from_": "porter@service.example",
              "domain": "service.example", "srs_secret": "s3cret" * 6,
              "pause_patterns": PAUSE_PATTERNS}
    return types.SimpleNamespace(**{**values, **changes})


def soon(seconds: float = 120) -> float:
    return time.monotonic() + seconds
