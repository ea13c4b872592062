"""The ping to a service such as healthchecks, which alerts the operator when it stops: `URL` at the
end of each `run-due`, or `URL/fail`, with the reasons.

A ping that fails changes nothing, and takes no longer than `[alerts] timeout`.
"""
from __future__ import annotations

from jobs_lib.masking import text as masked

SUCCESS, FAIL = "", "/fail"
LONGEST = 10_000                # bytes of a body


def call(config, ports, url: str, what: str = SUCCESS, body: str = "") -> str:
    """What went wrong with the call, or ""."""
    from jobs_lib.errors import JobsError
    from jobs_lib.ports.http import Request, refusal, trusted

    base, mark, query = url.partition("?")
    request = Request("ping", f"{base.rstrip('/')}{what}{mark}{query}",
                      [("Content-Type", "text/plain; charset=utf-8")],
                      masked(body).encode("utf-8", "replace")[-LONGEST:])
    try:
        timeout = config.section("alerts").timeout
        poster = ports.http(trusted(config.section("webhooks"), timeout))
        return masked(refusal(poster.post(request)))
    except (JobsError, OSError) as error:       # a section that is wrong
        return str(error)
