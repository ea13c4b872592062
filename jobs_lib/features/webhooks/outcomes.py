"""What came of an attempt: for the delivery, and for the endpoint."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.engines.attempts import POSTPONED, RETRY, SENT, UNUSABLE
from jobs_lib.ports.http import message as http
from jobs_lib.records import namedtuple

OUR_ERROR = "our_error"     # an exception that nothing expects
# {Response.outcome: outcome of the attempt} of what is no failure of the endpoint
NOT_THEIRS = {OUR_ERROR: RETRY, http.UNSENDABLE: UNUSABLE, http.OURS: POSTPONED}

GONE, TOO_MANY, UNAVAILABLE = 410, 429, 503
LONGEST_WAIT = timedelta(hours=24)          # of a Retry-After that is honoured
# Nothing is sent for so long to an endpoint that did not answer: the rest of a run, as a rule. One
# that answers an error is there, and may refuse this delivery alone: its others go on.
PAUSE = timedelta(minutes=1)

Verdict = namedtuple("Verdict", "outcome error blames wait gone",
                     defaults=("", False, None, False))
Verdict.__doc__ = """What a response means.

outcome  of the attempt (engines/attempts.py)
error    what `last_error` says, or ""
blames   whether it is a failure of the endpoint
wait     how long nothing is sent to the endpoint, or None
gone     whether it wants no more at all
"""


def judge(response, now) -> Verdict:
    """2xx is success, all else a failure, a redirect too; 410 disables the endpoint."""
    status = response.status
    if response.outcome in NOT_THEIRS:
        return Verdict(NOT_THEIRS[response.outcome], response.text)
    if response.outcome != http.ANSWERED:
        return Verdict(RETRY, response.text, True, PAUSE)
    if 200 <= status < 300:
        return Verdict(SENT)
    redirect = ", and redirects are not followed" if status < 400 else ""
    asks_to_wait = status in (TOO_MANY, UNAVAILABLE)
    # 410 is not the end of the delivery: that the endpoint is disabled at the end of a run ends it
    return Verdict(RETRY, f"the endpoint answered {status}{redirect}", True,
                   retry_after(response.retry_after, now) if asks_to_wait else None,
                   status == GONE)


def retry_after(text: str, now) -> timedelta | None:
    """What a Retry-After asks for, in seconds or as a date (RFC 9110 10.2.3), at most a day; None
    if it is neither."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return min(timedelta(seconds=int(text[:10])), LONGEST_WAIT)     # ten digits are years
    from email.utils import parsedate_to_datetime
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=clock.UTC)
        return min(max(moment - now, timedelta(0)), LONGEST_WAIT)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
