"""Judging the records of a domain: what is there against what has to be there, and what is wrong.

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

from jobs_lib.ports.outcomes import UNKNOWN
from jobs_lib.text.addresses import ascii_form

from . import FAIL, PASS

OWNERSHIP, MX, SPF, DKIM, DMARC = ("ownership", "mx", "spf", "dkim", "dmarc")

TITLES = {OWNERSHIP: "Proof of ownership", MX: "Mail servers (MX)", SPF: "SPF", DKIM: "DKIM",
          DMARC: "DMARC"}
ADD = "Add this {type} record at {name}: {expected}"

# {reason: (problem, fix)}, in which `{add}` is how to add the record, and `{why}` why there was no
# answer. docs/domains.md lists the reasons.
TEXTS = {
    "": ("", ""),
    "no_answer": (
        "We could not check this record: {why}.",
        "If this keeps happening, ask your DNS provider why there is no answer."),
    "missing": ("There is no such record.", "{add}"),
    "two_records": (
        "There is more than one such record, which makes all of them invalid.",
        "Keep one of them, and remove the others."),
    "other_token": ("There is such a record, but its code is not the one we expect.", "{add}"),
    "null_mx": (
        "The domain is set to accept no mail at all (a null MX record).",
        "Remove the MX record that has only a dot. {add}"),
    "foreign_mx": (
        "Mail for this domain goes to mail servers that are not ours.",
        "Remove the existing MX records. {add}"),
    "foreign_mx_first": (
        "Another mail server has a lower number than ours, so mail goes there first.",
        "Remove it, or give it a higher number than ours."),
    "no_include": (
        "Our mail servers are not in the SPF record.",
        "Add the include: part of {expected} to it, before the term that ends with: all"),
    "wrong_target": ("The CNAME does not point to us.", "{add}"),
    "empty_key": ("The key is empty (p=), which means that it was revoked.", "Remove it. {add}"),
    "wrong_key": ("The key in this record is not ours.", "Remove it. {add}"),
}

# records kept of a name, and characters of each: strangers write them
MOST_FOUND, LONGEST_FOUND = 5, 500
# options of [dns] without which a check is not made
OPTIONS = {MX: ("mx_hosts",), SPF: ("spf_include",), DKIM: ("dkim_target", "dkim_key")}
STATES = {"": PASS, "no_answer": UNKNOWN}  # by reason; else FAIL
KEY = re.compile(r"(?:^|;)p=([^;]*)")


def unset(required, dns) -> str:
    """What `[dns]` lacks for the checks that `require` names; "" if nothing."""
    missing = [check for check in required if check not in checks("", "token", dns)]
    needed = ", ".join(" or ".join(OPTIONS[check]) for check in missing)
    return (f"[check_domains] require names {', '.join(missing)}: set [dns] {needed}, or leave it "
            "out of require") if missing else ""


def checks(name: str, token: str, dns) -> dict:
    """What the records of a domain have to be: {check: (what is expected, where it may be)}, each
    of these places with its type and the function that judges it; no place: `[dns]` does not say
    enough for the check, or there is no token. `name`: the domain's xn-- form."""
    selector = f"{dns.dkim_selector.lower()}._domainkey.{name}"
    hosts = enumerate(map(_host, dns.mx_hosts), 1)
    target = _host(dns.dkim_target)
    every = {
        OWNERSHIP: (dns.ownership_prefix + token,
                    [(name, "TXT", _ownership)] * bool(token)),
        MX: (", ".join(f"{10 * number} {host}" for number, host in hosts),
             [(name, "MX", _mx)] * bool(dns.mx_hosts)),
        SPF: (f"v=spf1 include:{_host(dns.spf_include)} ~all",
              [(name, "TXT", _spf)] * bool(dns.spf_include)),
        DKIM: (target or f"v=DKIM1; p={_our_key(dns)}",
               [(selector, "CNAME", _dkim_cname)] * bool(target)
               + [(selector, "TXT", _dkim_key)] * bool(dns.dkim_key)),
        DMARC: ("v=DMARC1; p=none", [(f"_dmarc.{name}", "TXT", _dmarc)])}
    return {check: found for check, found in every.items() if found[1]}


def questions(wanted: dict) -> list[tuple[str, str]]:
    """What has to be asked for such checks: (name, type) each."""
    return list(dict.fromkeys((name, kind) for _, places in wanted.values()
                              for name, kind, _ in places))


def judge(wanted: dict, answers: dict, dns, required) -> dict[str, dict]:
    """{check: result} by the answers, {question: Answer}; required: checks."""
    results = {}
    for check, (expected, places) in wanted.items():
        name, kind, _ = places[0]
        reason, found, why = _see(dns, expected, places, answers)
        place = {"type": kind, "name": name, "expected": expected}
        add = ADD.format(**place)
        problem, fix = (text.format(add=add, why=why, **place) for text in TEXTS[reason])
        results[check] = {
            "state": STATES.get(reason, FAIL), **place,
            "found": [text[:LONGEST_FOUND] for text in found[:MOST_FOUND]],
            "reason": reason, "problem": problem, "fix": fix, "required": check in required}
    return results


def verdict(results: dict) -> str:
    """What the required records say together: one failure fails, whatever else was not answered."""
    states = {result["state"] for result in results.values() if result["required"]}
    return FAIL if FAIL in states else UNKNOWN if UNKNOWN in states else PASS


def _see(dns, expected: str, places: list, answers: dict) -> tuple[str, list, str]:
    """What the answers say of one check: a reason, or "" where all is well; what was found; and why
    there was no answer."""
    for name, kind, judge_records in places:
        answer = answers[name, kind]
        if answer.outcome == UNKNOWN:
            return "no_answer", [], answer.why
        if answer.records and (seen := judge_records(dns, expected, answer.records)):
            return (*seen, "")
    return "missing", [], ""


# The records. Each function is given what is expected and all that is there, and says (reason, what
# was found); None: nothing of what it looks for is there.

def _ownership(dns, expected: str, records: tuple) -> tuple | None:
    ours = [text for text in records if _bare(text).startswith(dns.ownership_prefix.lower())]
    if not ours:
        return None
    return "" if expected.lower() in map(_bare, ours) else "other_token", ours


def _mx(dns, _expected: str, records: tuple) -> tuple | None:
    hosts = {_host(host) for host in dns.mx_hosts}
    found = [f"{preference} {host}" for preference, host in sorted(records)]
    ours = [preference for preference, host in records if host in hosts]
    theirs = [preference for preference, host in records if host not in hosts]
    if any(host == "." for _, host in records):  # RFC 7505
        return "null_mx", found
    if not ours:
        return "foreign_mx", found
    # Mail goes to the lowest number first (RFC 5321 5.1).
    return "foreign_mx_first" if theirs and min(theirs) < min(ours) else "", found


def _spf(_dns, expected: str, records: tuple) -> tuple | None:
    seen = _only_one(records, r"v=spf1(\s|$)")  # RFC 7208 4.5
    if seen is None or seen[0]:
        return seen
    terms = [term.lstrip("+").rstrip(".") for term in _bare(seen[1][0]).split()]
    return "" if expected.split()[1] in terms else "no_include", seen[1]


def _dkim_cname(_dns, expected: str, records: tuple) -> tuple | None:
    return "" if records[0] == expected else "wrong_target", [f"CNAME {records[0]}"]


def _dkim_key(dns, _expected: str, records: tuple) -> tuple | None:
    found = [text for text in records if _key(text) is not None]
    keys = [_key(text) for text in found]
    if not found or keys == [_our_key(dns)]:
        return ("", found) if found else None
    # an empty one is a revoked one (RFC 6376 3.6.1)
    return "wrong_key" if any(keys) else "empty_key", found


def _dmarc(_dns, _expected: str, records: tuple) -> tuple | None:
    return _only_one(records, r"v\s*=\s*dmarc1\s*(;|$)")


# What they share

def _only_one(records: tuple, pattern: str) -> tuple | None:
    """What `records` have of a kind of which there has to be one."""
    found = [text for text in records if re.match(pattern, _bare(text))]
    return ("two_records" if len(found) > 1 else "", found) if found else None


def _our_key(dns) -> str | None:
    """From a whole record, or the key alone."""
    return _key(dns.dkim_key) or _key(f"p={dns.dkim_key}")


def _key(text: str) -> str | None:
    """The key in a DKIM record, where spaces mean nothing (RFC 6376 3.2); None in another one."""
    found = KEY.search("".join(text.split()).strip('"'))
    return found[1] if found else None


def _bare(text: str) -> str:
    """In lower case, without the space and quotes that some panels store."""
    return text.strip().strip('"').strip().lower()


def _host(name: str) -> str:
    """A host's name as answers have it."""
    try:
        return ascii_form(name)
    except ValueError:
        return name.rstrip(".").lower()
