"""Pings to a service such as healthchecks, which alerts the operator when they stop coming.

`URL/start` when a run begins, `URL` when it ended well, `URL/fail` when it did not, each with
`?rid=` of the run and the end of its log. A ping that fails changes nothing in the run, which waits
no longer for it than `[alerts] timeout`.
"""
from __future__ import annotations

from jobs_lib.masking import text as masked

START, SUCCESS, FAIL = "/start", "", "/fail"
LONGEST = 10_000                # bytes of a body


def call(config, ports, url: str, what: str = SUCCESS, run_id: str = "", body: str = "") -> str:
    """What went wrong with the call, or ""."""
    from jobs_lib.errors import JobsError
    from jobs_lib.ports.http.message import Request, post_in_time, refusal, trusted

    headers = [("Content-Type", "text/plain; charset=utf-8")]
    request = Request("ping", _with(url, what, run_id), headers,
                      masked(body).encode("utf-8", "replace")[-LONGEST:])
    try:
        timeout = config.section("alerts").timeout
        poster = ports.http(trusted(config.section("webhooks"), timeout))
        return masked(refusal(post_in_time(poster, request, timeout)))
    except (JobsError, OSError, RuntimeError) as error:
        # a section that is wrong; no thread to be had
        return str(error)


def log_tail(log, words: str) -> str:
    """The body of a ping: the outcome of the run, and as many of its last lines in the log as there
    is room for."""
    lines, room = [], LONGEST - len(words.encode("utf-8", "replace")) - 2
    for line in reversed(log.lines(LONGEST)):
        room -= len(line) + 1
        if room < 0:
            break
        lines.append(line)
    return "\n".join([words[:LONGEST], "", *reversed(lines)])


def _with(url: str, what: str, run_id: str) -> str:
    """The URL of one call. `rid` has to be a UUID there, and a run's id is half of one."""
    base, mark, query = url.partition("?")
    if run_id:
        rid = f"{run_id[:8]}-{run_id[8:12]}-{run_id[12:16]}-{run_id[:4]}-{run_id[4:16]}"
        query = f"{query}{'&' if query else ''}rid={rid}"
    return f"{base.rstrip('/')}{what}{'?' if mark or query else ''}{query}"
