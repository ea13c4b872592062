"""Which domains are due to be looked at: those whose time has come, that have none yet or an
impossible one, and those that somebody asked for."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.engines import due as engine
from jobs_lib.features.queues import DOMAINS

from .status import ACTIVE

# SQL: one that failed for good has no next look
UNTIMED = ("status = 'pending' AND next_check_at IS NULL",
           "status = 'verified' AND next_check_at IS NULL",
           "next_check_at > :horizon")      # later than any look is due: a clock was wrong
ASKED_AT = "CASE WHEN recheck_requested_at <= :now THEN recheck_requested_at ELSE :now END"
ASKED = ("recheck_requested_at >= :first AND (next_check_at > :now AND next_check_at <= :horizon "
         "OR next_check_at IS NULL AND status = 'failed')")


def due(ctx) -> engine.Due:
    """What a run now would look at. `ctx` needs `db`, `now` and `options`."""
    untimed = (*((rule, ":now") for rule in UNTIMED), (ASKED, ASKED_AT))
    times = engine.bounds(ctx.now, DOMAINS.delays(ctx.options))
    return engine.Due(ctx.db, DOMAINS, untimed, {**times, "first": clock.FIRST}, ACTIVE)
