"""Judging the records of a domain: what is there against what has to be there.

Nothing here asks anybody: answers of the DNS port go in, and for each record comes out

    state     pass, fail, or unknown where there was no answer that means anything
    name      where it is                  type      TXT, MX or CNAME
    expected  what has to be there         found     what is there, a list of texts
    reason    a word for programs          problem   what is wrong, in a sentence
    fix       what the owner can do        required  whether the domain's status depends on it

Case and a dot at the end never count. Each check looks for one record, ours: SPF, DKIM and DMARC
are advice, unless `require` names them.
"""
from __future__ import annotations

import re

from jobs_lib.hostnames import ascii_form, shown
from jobs_lib.ports.dns import NXDOMAIN, UNKNOWN, Answer
from jobs_lib.records import namedtuple

from .problems import CHECKS, DKIM, DMARC, MX, OWNERSHIP, SPF, texts
from .status import FAIL, PASS

# records kept of a name, and characters of each: strangers write them
MOST_FOUND, LONGEST_FOUND = 10, 500
# a check is not made while none of its options is set
OPTIONS = {MX: ("mx_hosts",), SPF: ("spf_include",), DKIM: ("dkim_target", "dkim_key")}
STATES = {"": PASS, "foreign_mx_level": PASS, "no_answer": UNKNOWN}     # by reason; else FAIL
KEY = re.compile(r"(?:^|;)p=([^;]*)")

Wanted = namedtuple("Wanted", "name token dns required is_name")
Wanted.__doc__ = """A domain by its xn-- name, its token, the `[dns]` section, and the checks that
its status depends on. `is_name`: whether the name can be asked for."""

Seen = namedtuple("Seen", "reason found values", defaults=("", (), {}))
Seen.__doc__ = """What a check has seen: a reason, or "" where all is well; what was found; and in
`values` what the text of that reason says besides."""


def configured(dns) -> tuple:
    """The checks that `[dns]` says enough for."""
    return tuple(check for check in CHECKS if check not in OPTIONS
                 or any(getattr(dns, option) for option in OPTIONS[check]))


def unset(required, dns) -> str:
    """What `[dns]` has to say for the checks that [check_domains] require names, in a sentence; ""
    when it does."""
    missing = [check for check in required if check not in configured(dns)]
    needed = ", ".join(" or ".join(OPTIONS[check]) for check in missing)
    return (f"[check_domains] require names {', '.join(missing)}: set [dns] {needed}, or leave it "
            "out of require") if missing else ""


def questions(wanted: Wanted) -> list[tuple[str, str]]:
    """What has to be asked: (name, type) each. Of a name that cannot be, nothing."""
    return list(dict.fromkeys((name, kind) for _, places in _checks(wanted).values()
                              for name, kind, _ in places if wanted.is_name))


def judge(wanted: Wanted, answers: dict) -> dict[str, dict]:
    """{check: result}, from {question: Answer}."""
    return {check: _result(check, wanted, answers, *found)
            for check, found in _checks(wanted).items()}


def verdict(results: dict) -> str:
    """What the required records say together: one failure fails, whatever else was not answered."""
    states = {result["state"] for result in results.values() if result["required"]}
    return FAIL if FAIL in states else UNKNOWN if UNKNOWN in states else PASS


def own_name(dns) -> str:
    """A name of the service itself, which a resolver that works has an answer for; else the
    root."""
    return _ascii(next(iter([*dns.mx_hosts, dns.dkim_target, dns.spf_include]), ""))


def _checks(wanted: Wanted) -> dict:
    """{check: (what its record has to be, where it may be)}, each of these places with its type and
    the function that judges it; what is expected is at the first."""
    name, dns = wanted.name, wanted.dns
    selector = f"{dns.dkim_selector.lower()}._domainkey.{name}"
    hosts = enumerate(map(_ascii, dns.mx_hosts), 1)
    every = {
        OWNERSHIP: (dns.ownership_prefix + wanted.token, [(name, "TXT", _ownership)]),
        MX: (", ".join(f"{10 * number} {host}" for number, host in hosts), [(name, "MX", _mx)]),
        SPF: (f"v=spf1 {_include(dns)} ~all", [(name, "TXT", _spf)]),
        DKIM: (_ascii(dns.dkim_target) or f"v=DKIM1; p={_our_key(dns)}",
               [(selector, "CNAME", _dkim_cname)] * bool(dns.dkim_target)
               + [(selector, "TXT", _dkim_key)] * bool(dns.dkim_key)),
        DMARC: ("v=DMARC1; p=none", [(f"_dmarc.{name}", "TXT", _dmarc)])}
    # who needs no proof of ownership may have no token, and is shown none
    return {check: every[check] for check in configured(dns) if wanted.token or check != OWNERSHIP}


def _result(check: str, wanted: Wanted, answers: dict, expected: str, places: list) -> dict:
    seen, (name, kind, _) = _see(wanted, answers, places), places[0]
    place = {"type": kind, "name": name, "expected": expected}
    problem, fix = texts(check, seen.reason, {**place, "shown": shown(name), **seen.values})
    return {"state": STATES.get(seen.reason, FAIL), **place,
            "found": [text[:LONGEST_FOUND] for text in seen.found][:MOST_FOUND],
            "reason": seen.reason, "problem": problem, "fix": fix,
            "required": check in wanted.required}


def _see(wanted: Wanted, answers: dict, places: list) -> Seen:
    """What the answers say of one check."""
    reason = "missing"
    for name, kind, judge_records in places:
        answer = answers.get((name, kind), Answer(NXDOMAIN))    # what was not asked cannot be
        if answer.outcome == UNKNOWN:
            return Seen("no_answer", values={"why": answer.why})
        if answer.records and (seen := judge_records(wanted, answer.records)):
            return seen
        if answer.outcome == NXDOMAIN and name == wanted.name:
            reason = "no_domain"
    return Seen(reason)


# The records. Each function is given all that is there; None: nothing of what it looks for is.

def _ownership(wanted: Wanted, records: tuple) -> Seen | None:
    prefix = wanted.dns.ownership_prefix.lower()
    ours = [text for text in records if _bare(text).startswith(prefix)]
    if prefix + wanted.token.lower() in map(_bare, ours):
        return Seen(found=ours)
    return Seen("other_token", ours) if ours else None


def _mx(wanted: Wanted, records: tuple) -> Seen | None:
    hosts = {_ascii(host) for host in wanted.dns.mx_hosts}
    found = [f"{preference} {host}" for preference, host in sorted(records)]
    ours = [preference for preference, host in records if host in hosts]
    theirs = sorted(record for record in records if record[1] not in hosts)
    if any(host == "." for _, host in records):         # RFC 7505
        return Seen("null_mx", found)
    if not ours:
        return Seen("foreign_mx", found)
    # Mail goes to the lowest number first, and to equal ones in any order (RFC 5321 5.1).
    if not theirs or theirs[0][0] > min(ours):
        return Seen(found=found)
    preference, host = theirs[0]
    return Seen("foreign_mx_first" if preference < min(ours) else "foreign_mx_level", found,
                {"host": host, "ours": min(ours)})


def _spf(wanted: Wanted, records: tuple) -> Seen | None:
    found, ours = _of_version(records, r"v=spf1(\s|$)"), _include(wanted.dns)
    if len(found) > 1:                      # RFC 7208 4.5
        return Seen("two_records", found, {"number": len(found),
                                           "with_ours": f", with {ours} in it"})
    if found and ours not in (term.lstrip("+").rstrip(".") for term in _bare(found[0]).split()):
        return Seen("no_include", found, {"ours": ours})
    return Seen(found=found) if found else None


def _dkim_cname(wanted: Wanted, records: tuple) -> Seen | None:
    found = [f"CNAME {records[0]}"]
    if records[0] == _ascii(wanted.dns.dkim_target):
        return Seen(found=found)
    return Seen("wrong_target", found, {"target": records[0]})


def _dkim_key(wanted: Wanted, records: tuple) -> Seen | None:
    keys = {text: key[1] for text in records if (key := KEY.search(_closed(text)))}
    if list(keys.values()) == [_our_key(wanted.dns)]:
        return Seen(found=[*keys])
    # an empty one is a revoked one (RFC 6376 3.6.1)
    return Seen("wrong_key" if any(keys.values()) else "empty_key", [*keys]) if keys else None


def _dmarc(_wanted: Wanted, records: tuple) -> Seen | None:
    found = _of_version(records, r"v\s*=\s*dmarc1\s*(;|$)")
    if len(found) > 1:
        return Seen("two_records", found, {"number": len(found), "with_ours": ""})
    return Seen(found=found) if found else None


# What they share

def _of_version(records: tuple, pattern: str) -> list[str]:
    return [text for text in records if re.match(pattern, _bare(text))]


def _include(dns) -> str:
    return f"include:{_ascii(dns.spf_include)}"


def _our_key(dns) -> str:
    """From a whole record, or the key alone."""
    text = _closed(dns.dkim_key)
    found = KEY.search(text)
    return found[1] if found else text


def _closed(text: str) -> str:
    """Without the spaces, which mean nothing in a DKIM record (RFC 6376 3.2)."""
    return "".join(text.split()).strip('"')


def _bare(text: str) -> str:
    """In lower case, without space and quotes around it: some panels store the quotes that were
    typed."""
    return text.strip().strip('"').strip().lower()


def _ascii(host: str) -> str:
    """A host as DNS spells it."""
    try:
        return ascii_form(host)
    except ValueError:
        return host.rstrip(".").lower()
