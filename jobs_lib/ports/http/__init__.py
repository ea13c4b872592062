"""The HTTP port: one POST to an address that somebody else has chosen, and what came of it.

Whatever the other side does is a `Response`, never an exception, and comes within one hard limit in
time. Proxy variables and `.netrc` are never looked at, redirects never followed.
"""
from __future__ import annotations

from jobs_lib.records import namedtuple

# body: bytes, sent as they are; headers: [(name, value)], besides Host, Content-Length and
# Connection
Request = namedtuple("Request", "item_id url headers body")

# status: of the answer, or None; retry_after: that header as it came, or ""; excerpt: the answer's
# beginning, printable and at most EXCERPT bytes; text: what went wrong, in words for the endpoint's
# owner, without the resolved address
Response = namedtuple("Response", "outcome status retry_after excerpt text",
                      defaults=(None, "", "", ""))

ANSWERED = "answered"  # there is a status
FAILED = "failed"  # a URL or an address that we do not call, or no answer that is HTTP
# this host has no file handle or memory left: the endpoint has nothing to do with it
OURS = "ours"
UNSENDABLE = "unsendable"  # this delivery cannot be written as a request, to whomever

EXCERPT = 2048  # bytes of an answer that are kept
NOT_PUBLIC = "the address of this endpoint is not public"


def refusal(response: Response) -> str:
    """What was wrong with an answer: anything but 2xx, or none. "" when it is well."""
    if response.outcome != ANSWERED:
        return response.text
    if 200 <= response.status < 300:
        return ""
    return f"it answered {response.status} {response.excerpt[:100]}".rstrip()
