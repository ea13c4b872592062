"""What came of an attempt: for the delivery, and whether the endpoint is to blame."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.ports.http import message as http
from jobs_lib.ports.outcomes import FINAL, GIVEN_BACK, RETRY, SENT
from jobs_lib.records import namedtuple

NOT_SENT = "not_sent"       # by us: the endpoint's row makes no request, or an error of ours
# {Response.outcome: (outcome, whether the endpoint is to blame)} where there is no status
WITHOUT_STATUS = {http.FAILED: (RETRY, True), http.TIMEOUT: (RETRY, True),
                  http.REFUSED: (RETRY, True), NOT_SENT: (RETRY, False),
                  http.UNSENDABLE: (FINAL, False), http.OURS: (GIVEN_BACK, False),
                  http.BUSY: (GIVEN_BACK, False)}

GONE, TOO_MANY, UNAVAILABLE = 410, 429, 503
LONGEST_WAIT = timedelta(hours=24)         # of a Retry-After that is honoured
GIVEN_BACK_FOR = timedelta(minutes=1)
ERROR_LENGTH = 512

Verdict = namedtuple("Verdict", "outcome error blames wait gone",
                     defaults=(None, True, None, False))
Verdict.__doc__ = """What a response means.

outcome  of the delivery (ports/outcomes.py)
error    what `last_error` says, or None
blames   whether a failure is the endpoint's
wait     how long nothing is sent to the endpoint, or None
gone     whether it wants no more at all
"""


def judge(response, now) -> Verdict:
    """2xx is success, all else a failure, a redirect too; 410 is an end."""
    status = response.status
    if response.outcome != http.ANSWERED:
        outcome, blames = WITHOUT_STATUS[response.outcome]
        verdict = Verdict(outcome, response.text[:ERROR_LENGTH], blames)
        return given_back(verdict) if response.outcome == http.OURS else verdict
    if 200 <= status < 300:
        return Verdict(SENT)
    if status == GONE:
        return Verdict(FINAL, "the endpoint answered 410: it is gone for good", gone=True)
    redirect = ", and redirects are not followed" if status < 400 else ""
    asks_to_wait = status in (TOO_MANY, UNAVAILABLE)
    return Verdict(RETRY, f"the endpoint answered {status}{redirect}",
                   wait=retry_after(response.retry_after, now) if asks_to_wait else None)


def given_back(verdict: Verdict) -> Verdict:
    """The same where it is not the endpoint's fault: it costs no attempt. The endpoint waits with
    all that it has, so that the next run begins with others."""
    return verdict._replace(outcome=GIVEN_BACK, blames=False, wait=GIVEN_BACK_FOR)


def retry_after(text: str, now) -> timedelta | None:
    """What a Retry-After asks for, in seconds or as a date (RFC 9110 10.2.3), at most a day; None
    if it is neither."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return min(timedelta(seconds=int(text[:10])), LONGEST_WAIT)     # ten digits are years
    if not text:
        return None
    from email.utils import parsedate_to_datetime
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=clock.UTC)
        return min(max(moment - now, timedelta(0)), LONGEST_WAIT)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
