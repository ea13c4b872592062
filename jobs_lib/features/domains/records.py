"""Judging the records of a domain: what is there against what has to be there, in words for its
owner.

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
from jobs_lib.ports.dns import FOUND, NODATA, NXDOMAIN, Answer
from jobs_lib.ports.dns import UNKNOWN as UNKNOWN
from jobs_lib.records import namedtuple

from .status import FAIL, PASS

OWNERSHIP, MX, SPF, DKIM, DMARC = CHECKS = ("ownership", "mx", "spf", "dkim", "dmarc")

# {check: (what there is none of, how to add it)}
RECORDS = {
    OWNERSHIP: ("TXT record with our code",
                "Add a TXT record at {name} with exactly this value: {expected}"),
    MX: ("MX record", "Add these MX records at {name}: {expected}"),
    SPF: ("SPF record", "Add a TXT record at {name}: {expected}"),
    DKIM: ("DKIM record", "Add a {type} record at {name}: {expected}"),
    DMARC: ("DMARC record", "Add a TXT record at {name}: {expected}"),
}

# What is wrong with a record and how to fix it, in the words of a domain's owner. A text may hold
# `{name}`, `{type}` and `{expected}` of the record, `{shown}`, its name as people read it, `{add}`,
# how to add it, and what the check itself says of the record that it found. docs/domains.md lists
# the reasons. {reason or (check, reason): (problem, fix)}
TEXTS = {
    "": ("", ""),
    "no_answer": (
        "We could not check this record: {why}.",
        "We will check again. If this keeps happening, ask the provider of your DNS."),
    "not_a_domain": (
        "{name} is not a domain name.",
        "Remove the domain, and add it again with its correct name."),
    "no_domain": (
        "{shown} does not exist in DNS: it is not registered, or has no name servers.",
        "{add}"),
    "missing": ("There is no {what}.", "{add}"),
    "no_token": ("This domain has no verification code yet.", "Ask us for a new code."),
    "other_token": ("There is such a record, but its code is not the one we expect.", "{add}"),
    "null_mx": (
        "The domain is set to accept no mail at all (a null MX record).",
        "Remove the MX record that has only a dot. {add}"),
    "foreign_mx": (
        "Mail for this domain goes to mail servers that are not ours.",
        "Remove the existing MX records. {add}"),
    "foreign_mx_first": (
        "{host} has a lower number than our mail servers, so mail goes there first.",
        "Remove {host}, or give it a higher number than {ours}."),
    "foreign_mx_level": (
        "{host} has the same number as our mail servers, so some mail goes there.",
        "Remove {host}, or give it a higher number than {ours}."),
    (SPF, "two_records"): (
        "There are {number} SPF records, and more than one makes all of them invalid.",
        "Keep one of them, with {ours} in it, and remove the others."),
    "no_include": (
        "The SPF record does not contain {ours}",
        "Add {ours} to it, before the term that ends with: all"),
    "wrong_target": ("The CNAME points to {target}, not to us.", "{add}"),
    "empty_key": ("The key is empty (p=), which means that it was revoked.", "Remove it. {add}"),
    "wrong_key": ("The key in this record is not ours.", "Remove it. {add}"),
    (DMARC, "two_records"): (
        "There are {number} DMARC records, and more than one makes all of them invalid.",
        "Keep one of them, and remove the others."),
}

# records kept of a name, and signs of each: strangers write them
MOST_FOUND, LONGEST_FOUND = 10, 500

Wanted = namedtuple("Wanted", "name token dns required")
Wanted.__doc__ = """A domain by its xn-- name, its token, the `[dns]` section, and the checks that
its status depends on."""

Seen = namedtuple("Seen", "state reason found values", defaults=("", (), {}))
Seen.__doc__ = """What a check has seen: its state, reason and what was found, and in `values` what
the text of that reason says besides."""


def configured(dns) -> tuple:
    """The checks that `[dns]` says enough for."""
    there = {OWNERSHIP: True, MX: dns.mx_hosts, SPF: dns.spf_include, DKIM: dns.dkim_target
             or dns.dkim_key, DMARC: True}
    return tuple(check for check in CHECKS if there[check])


NEEDED = {MX: "mx_hosts", SPF: "spf_include", DKIM: "dkim_target or dkim_key"}


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
    dns, name = wanted.dns, wanted.name
    asked = [(name, "TXT")]
    if dns.mx_hosts:
        asked.append((name, "MX"))
    if dns.dkim_target:
        asked.append((_selector(wanted), "CNAME"))
    if dns.dkim_target or dns.dkim_key:
        asked.append((_selector(wanted), "TXT"))
    return [*asked, (f"_dmarc.{name}", "TXT")]


def own_name(dns) -> str:
    """A name of the service itself, which a resolver that works has an answer for; else the
    root."""
    return _ascii(next(iter([*dns.mx_hosts, dns.dkim_target, dns.spf_include]), ""))


def judge(wanted: Wanted, answers: dict) -> dict[str, dict]:
    """{check: result}, from {question: Answer}. Every question that was not asked counts as
    unanswered."""
    judges = {OWNERSHIP: _ownership, MX: _mx, SPF: _spf, DKIM: _dkim, DMARC: _dmarc}
    return {check: _result(check, wanted, _place(check, wanted), judges[check](wanted, answers))
            for check in configured(wanted.dns)}


def judge_bad_name(wanted: Wanted) -> dict[str, dict]:
    """The same for a name that cannot be asked for."""
    place = {"type": "", "name": wanted.name, "expected": ""}
    return {check: _result(check, wanted, place, Seen(FAIL, "not_a_domain"))
            for check in configured(wanted.dns)}


def _place(check: str, wanted: Wanted) -> dict:
    """Where the record has to be, and what."""
    dns, name = wanted.dns, wanted.name
    if check == OWNERSHIP:
        kind, expected = "TXT", _code(wanted)
    elif check == MX:
        hosts = enumerate(map(_ascii, dns.mx_hosts), 1)
        kind, expected = "MX", ", ".join(f"{10 * number} {host}" for number, host in hosts)
    elif check == SPF:
        kind, expected = "TXT", f"v=spf1 {_include(wanted)} ~all"
    elif check == DMARC:
        kind, name, expected = "TXT", f"_dmarc.{name}", "v=DMARC1; p=none"
    elif dns.dkim_target:
        kind, name, expected = "CNAME", _selector(wanted), _ascii(dns.dkim_target)
    else:
        kind, name, expected = "TXT", _selector(wanted), f"v=DKIM1; p={_key(dns.dkim_key)}"
    return {"type": kind, "name": name, "expected": expected}


def _result(check: str, wanted: Wanted, place: dict, seen: Seen) -> dict:
    problem, fix = text(check, seen.reason, {**place, "shown": shown(place["name"]),
                                             **seen.values})
    found = [str(one)[:LONGEST_FOUND] for one in seen.found][:MOST_FOUND]
    return {"state": seen.state, **place, "found": found, "reason": seen.reason,
            "problem": problem, "fix": fix, "required": check in wanted.required}


def verdict(results: dict) -> str:
    """What the required records say together: one failure fails, whatever else was not answered."""
    states = {result["state"] for result in results.values() if result["required"]}
    return FAIL if FAIL in states else UNKNOWN if UNKNOWN in states else PASS


# The five records

def _ownership(wanted: Wanted, answers: dict) -> Seen:
    answer, texts = _texts(answers, wanted.name)
    prefix, code = wanted.dns.ownership_prefix.lower(), _code(wanted).lower()
    ours = [text for text in texts if _bare(text).startswith(prefix)]
    if not wanted.token:
        return Seen(FAIL, "no_token", ours)
    if answer.outcome == UNKNOWN:
        return _unknown(answer)
    if any(_bare(text) == code for text in ours):
        return Seen(PASS, found=ours)
    return Seen(FAIL, "other_token", ours) if ours else _missing(answer)


def _mx(wanted: Wanted, answers: dict) -> Seen:
    answer = _answer(answers, wanted.name, "MX")
    if answer.outcome == UNKNOWN:
        return _unknown(answer)
    hosts = [_ascii(host) for host in wanted.dns.mx_hosts]
    records = sorted(answer.records) if answer.outcome == FOUND else []
    found = [f"{preference} {host}" for preference, host in records]
    if not records:
        return _missing(answer)
    if any(host == "." for _, host in records):         # RFC 7505
        return Seen(FAIL, "null_mx", found)
    ours = min((preference for preference, host in records if _ascii(host) in hosts), default=None)
    if ours is None:
        return Seen(FAIL, "foreign_mx", found)
    # Mail goes to the lowest number first, and to equal ones in any order (RFC 5321 5.1).
    for preference, host in records:
        if _ascii(host) not in hosts and preference <= ours:
            is_first = preference < ours
            return Seen(FAIL if is_first else PASS,
                        "foreign_mx_first" if is_first else "foreign_mx_level", found,
                        {"host": host, "ours": ours})
    return Seen(PASS, found=found)


def _spf(wanted: Wanted, answers: dict) -> Seen:
    answer, texts = _texts(answers, wanted.name)
    if answer.outcome == UNKNOWN:
        return _unknown(answer)
    found = [text for text in texts if re.match(r"v=spf1(\s|$)", _bare(text))]
    if not found:
        return _missing(answer)
    ours = _include(wanted)
    if len(found) > 1:                      # RFC 7208 4.5
        return Seen(FAIL, "two_records", found, {"number": len(found), "ours": ours})
    if any(same(term.lstrip("+"), ours) for term in _bare(found[0]).split()[1:]):
        return Seen(PASS, found=found)
    return Seen(FAIL, "no_include", found, {"ours": ours})


def _dkim(wanted: Wanted, answers: dict) -> Seen:
    name, target = _selector(wanted), _ascii(wanted.dns.dkim_target)
    alias = _answer(answers, name, "CNAME") if target else Answer(NODATA)
    aliases = alias.records if alias.outcome == FOUND else ()
    if aliases and same(aliases[0], target):
        return Seen(PASS, found=[f"CNAME {target}"])
    answer, texts = _texts(answers, name)
    key, keys = _key(wanted.dns.dkim_key), [text for text in texts if "p" in _tags(text)]
    if key and [_key(text) for text in keys] == [key]:
        return Seen(PASS, found=keys)
    for one in (alias, answer):
        if one.outcome == UNKNOWN:
            return _unknown(one)
    if aliases:
        return Seen(FAIL, "wrong_target", [f"CNAME {aliases[0]}"], {"target": aliases[0]})
    if not keys:
        return Seen(FAIL, "missing")
    # an empty one is a revoked one (RFC 6376 3.6.1)
    return Seen(FAIL, "wrong_key" if any(map(_key, keys)) else "empty_key", keys)


def _dmarc(wanted: Wanted, answers: dict) -> Seen:
    answer, texts = _texts(answers, f"_dmarc.{wanted.name}")
    if answer.outcome == UNKNOWN:
        return _unknown(answer)
    found = [text for text in texts if re.match(r"v\s*=\s*dmarc1\s*(;|$)", _bare(text))]
    if len(found) > 1:
        return Seen(FAIL, "two_records", found, {"number": len(found)})
    return Seen(PASS, found=found) if found else Seen(FAIL, "missing")


# What they share

def _unknown(answer) -> Seen:
    return Seen(UNKNOWN, "no_answer", values={"why": answer.why})


def _missing(answer) -> Seen:
    """No such record at the domain itself."""
    return Seen(FAIL, "no_domain" if answer.outcome == NXDOMAIN else "missing")


def _code(wanted: Wanted) -> str:
    return wanted.dns.ownership_prefix + wanted.token


def _include(wanted: Wanted) -> str:
    return f"include:{_ascii(wanted.dns.spf_include)}"


def _answer(answers: dict, name: str, kind: str):
    return answers.get((name, kind)) or Answer(UNKNOWN, why="it was not asked")


def _texts(answers: dict, name: str) -> tuple:
    """Returns (the Answer, its texts)."""
    answer = _answer(answers, name, "TXT")
    return answer, list(answer.records) if answer.outcome == FOUND else []


def _selector(wanted: Wanted) -> str:
    return f"{wanted.dns.dkim_selector.lower()}._domainkey.{wanted.name}"


def _bare(text: str) -> str:
    """In lower case, without space and quotes around it: some panels store the quotes that were
    typed."""
    return text.strip().strip('"').strip().lower()


def _ascii(host: str) -> str:
    """A host of ours as DNS spells it."""
    try:
        return ascii_form(host)
    except ValueError:
        return host.rstrip(".").lower()


def _tags(text: str) -> dict:
    """The tags of a DKIM or DMARC record (RFC 6376 3.2): spaces within a key mean nothing."""
    pairs = (part.partition("=") for part in text.strip().strip('"').split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, _, value in pairs}


def _key(text: str) -> str:
    """The key in a record, or all of the text when it is no record but the key alone."""
    tags = _tags(text)
    return tags["p"] if "p" in tags else "".join(text.split())


def text(check: str, reason: str, values: dict) -> tuple[str, str]:
    """(problem, fix) of a record; `values` are what the texts may hold."""
    what, add = RECORDS[check]
    values = {**values, "what": what, "add": add.format(**values)}
    problem, fix = TEXTS.get((check, reason)) or TEXTS[reason]
    return problem.format(**values), fix.format(**values)
