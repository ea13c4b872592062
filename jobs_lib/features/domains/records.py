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

from jobs_lib.hostnames import ascii_form, same, shown
from jobs_lib.ports.dns import NXDOMAIN, UNKNOWN, Answer
from jobs_lib.records import namedtuple

from .problems import CHECKS, DKIM, DMARC, MX, OWNERSHIP, SPF, texts
from .status import FAIL, PASS

# records kept of a name, and characters of each: strangers write them
MOST_FOUND, LONGEST_FOUND = 10, 500
NEEDED = {MX: "mx_hosts", SPF: "spf_include", DKIM: "dkim_target or dkim_key"}

Wanted = namedtuple("Wanted", "name token dns required is_name", defaults=(False,))
Wanted.__doc__ = """A domain by its xn-- name, its token, the `[dns]` section, and the checks that
its status depends on. `is_name`: whether the name can be asked for."""

Seen = namedtuple("Seen", "state reason found values", defaults=("", (), {}))
Seen.__doc__ = """What a check has seen: its state, reason and what was found, and in `values` what
the text of that reason says besides."""


def configured(dns) -> tuple:
    """The checks that `[dns]` says enough for."""
    there = {MX: dns.mx_hosts, SPF: dns.spf_include, DKIM: dns.dkim_target or dns.dkim_key}
    return tuple(check for check in CHECKS if there.get(check, True))


def unset(required, dns) -> str:
    """What `[dns]` has to say for the checks that [check_domains] require names, in a sentence; ""
    when it does."""
    missing = [check for check in CHECKS if check in required and check not in configured(dns)]
    if not missing:
        return ""
    return (f"[check_domains] require names {', '.join(missing)}: set [dns] "
            f"{', '.join(NEEDED[check] for check in missing)}, or leave it out of require")


def questions(wanted: Wanted) -> list[tuple[str, str]]:
    """What has to be asked: (name, type) each."""
    if not wanted.is_name:
        return []
    return list(dict.fromkeys(question for check in configured(wanted.dns)
                              for question in _questions(check, wanted)))


def _questions(check: str, wanted: Wanted) -> list[tuple[str, str]]:
    """Where the record of a check may be; what is expected is at the first."""
    if check == MX:
        return [(wanted.name, "MX")]
    if check == DMARC:
        return [(f"_dmarc.{wanted.name}", "TXT")]
    if check == DKIM:
        selector = f"{wanted.dns.dkim_selector.lower()}._domainkey.{wanted.name}"
        return [(selector, kind) for kind, is_meant in (("CNAME", wanted.dns.dkim_target),
                                                        ("TXT", wanted.dns.dkim_key)) if is_meant]
    return [(wanted.name, "TXT")]


def judge(wanted: Wanted, answers: dict) -> dict[str, dict]:
    """{check: result}, from {question: Answer}."""
    return {check: _result(check, wanted, _see(check, wanted, answers))
            for check in configured(wanted.dns)}


def verdict(results: dict) -> str:
    """What the required records say together: one failure fails, whatever else was not answered."""
    states = {result["state"] for result in results.values() if result["required"]}
    return FAIL if FAIL in states else UNKNOWN if UNKNOWN in states else PASS


def own_name(dns) -> str:
    """A name of the service itself, which a resolver that works has an answer for; else the
    root."""
    return _ascii(next(iter([*dns.mx_hosts, dns.dkim_target, dns.spf_include]), ""))


def _see(check: str, wanted: Wanted, answers: dict) -> Seen:
    """What the answers say of one check."""
    if not wanted.is_name:
        return Seen(FAIL, "not_a_domain")
    reason = "missing"
    for name, kind in _questions(check, wanted):
        answer = answers.get((name, kind)) or Answer(UNKNOWN, why="it was not asked")
        if answer.outcome == UNKNOWN:
            return Seen(UNKNOWN, "no_answer", values={"why": answer.why})
        if seen := JUDGES[check, kind](wanted, answer.records):
            return seen
        if answer.outcome == NXDOMAIN and name == wanted.name:
            reason = "no_domain"
    return Seen(FAIL, reason)


def _result(check: str, wanted: Wanted, seen: Seen) -> dict:
    name, kind = _questions(check, wanted)[0]
    place = {"type": kind, "name": name, "expected": _expected(check, wanted)}
    problem, fix = texts(check, seen.reason, {**place, "shown": shown(name), **seen.values})
    found = [str(one)[:LONGEST_FOUND] for one in seen.found][:MOST_FOUND]
    return {"state": seen.state, **place, "found": found, "reason": seen.reason,
            "problem": problem, "fix": fix, "required": check in wanted.required}


def _expected(check: str, wanted: Wanted) -> str:
    """What the record has to be."""
    dns = wanted.dns
    if check == MX:
        hosts = enumerate(map(_ascii, dns.mx_hosts), 1)
        return ", ".join(f"{10 * number} {host}" for number, host in hosts)
    if check == DKIM:
        return _ascii(dns.dkim_target) or f"v=DKIM1; p={_key(dns.dkim_key)}"
    return {OWNERSHIP: _code(wanted), SPF: f"v=spf1 {_include(wanted)} ~all",
            DMARC: "v=DMARC1; p=none"}[check]


# The records. Each function is given all that is there; None: nothing of what it looks for is.

def _ownership(wanted: Wanted, records: tuple) -> Seen | None:
    prefix, code = wanted.dns.ownership_prefix.lower(), _code(wanted).lower()
    ours = [text for text in records if _bare(text).startswith(prefix)]
    if not wanted.token:
        return Seen(FAIL, "no_token", ours)
    if any(_bare(text) == code for text in ours):
        return Seen(PASS, found=ours)
    return Seen(FAIL, "other_token", ours) if ours else None


def _mx(wanted: Wanted, records: tuple) -> Seen | None:
    hosts = [_ascii(host) for host in wanted.dns.mx_hosts]
    found = [f"{preference} {host}" for preference, host in sorted(records)]
    if any(host == "." for _, host in records):         # RFC 7505
        return Seen(FAIL, "null_mx", found)
    ours = [preference for preference, host in records if _ascii(host) in hosts]
    theirs = sorted(record for record in records if _ascii(record[1]) not in hosts)
    if not ours:
        return Seen(FAIL, "foreign_mx", found) if theirs else None
    # Mail goes to the lowest number first, and to equal ones in any order (RFC 5321 5.1).
    if not theirs or theirs[0][0] > min(ours):
        return Seen(PASS, found=found)
    preference, host = theirs[0]
    values = {"host": host, "ours": min(ours)}
    if preference < min(ours):
        return Seen(FAIL, "foreign_mx_first", found, values)
    return Seen(PASS, "foreign_mx_level", found, values)


def _spf(wanted: Wanted, records: tuple) -> Seen | None:
    found, ours = _of_version(records, r"v=spf1(\s|$)"), _include(wanted)
    if len(found) > 1:                      # RFC 7208 4.5
        return _two(found, f", with {ours} in it")
    if found and not any(same(term.lstrip("+"), ours) for term in _bare(found[0]).split()):
        return Seen(FAIL, "no_include", found, {"ours": ours})
    return Seen(PASS, found=found) if found else None


def _dkim_cname(wanted: Wanted, records: tuple) -> Seen | None:
    target = _ascii(wanted.dns.dkim_target)
    if not records:
        return None
    found = [f"CNAME {records[0]}"]
    if same(records[0], target):
        return Seen(PASS, found=found)
    return Seen(FAIL, "wrong_target", found, {"target": records[0]})


def _dkim_key(wanted: Wanted, records: tuple) -> Seen | None:
    found = [text for text in records if "p" in _tags(text)]
    keys = [_key(text) for text in found]
    if keys == [_key(wanted.dns.dkim_key)]:
        return Seen(PASS, found=found)
    if not found:
        return None
    # an empty one is a revoked one (RFC 6376 3.6.1)
    return Seen(FAIL, "wrong_key" if any(keys) else "empty_key", found)


def _dmarc(_wanted: Wanted, records: tuple) -> Seen | None:
    found = _of_version(records, r"v\s*=\s*dmarc1\s*(;|$)")
    if len(found) > 1:
        return _two(found)
    return Seen(PASS, found=found) if found else None


JUDGES = {(OWNERSHIP, "TXT"): _ownership, (MX, "MX"): _mx, (SPF, "TXT"): _spf,
          (DKIM, "CNAME"): _dkim_cname, (DKIM, "TXT"): _dkim_key, (DMARC, "TXT"): _dmarc}


# What they share

def _two(found: list, with_ours: str = "") -> Seen:
    return Seen(FAIL, "two_records", found, {"number": len(found), "with_ours": with_ours})


def _of_version(records: tuple, pattern: str) -> list[str]:
    return [text for text in records if re.match(pattern, _bare(text))]


def _code(wanted: Wanted) -> str:
    return wanted.dns.ownership_prefix + wanted.token


def _include(wanted: Wanted) -> str:
    return f"include:{_ascii(wanted.dns.spf_include)}"


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


def _tags(text: str) -> dict:
    """The tags of a DKIM record (RFC 6376 3.2): spaces within a key mean nothing."""
    pairs = (part.partition("=") for part in text.strip().strip('"').split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, _, value in pairs}


def _key(text: str) -> str:
    """The key in a record, or all of the text when it is no record but the key alone."""
    tags = _tags(text)
    return tags["p"] if "p" in tags else "".join(text.split())
