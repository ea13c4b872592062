"""Judging the records of a domain: what is there against what has to be there, in words for its
owner.

Nothing here asks anybody: answers of the DNS port go in, and for each record comes out

    state     pass, fail, or unknown where there was no answer that means anything
    name      where it is                  type      TXT, MX or CNAME
    expected  what has to be there         found     what is there, a list of texts
    reason    a word for programs          problem   what is wrong, in a sentence
    fix       what the owner can do        required  whether the domain's status depends on it

Case and a dot at the end never count. docs/domains.md has all reasons.
"""
from __future__ import annotations

import re
from collections import namedtuple

from jobs_lib.hostnames import ascii_form, same, shown
from jobs_lib.ports.dns import FOUND, NXDOMAIN, Answer
from jobs_lib.ports.dns import UNKNOWN as UNKNOWN

PASS, FAIL = "pass", "fail"                  # the third state is UNKNOWN
OWNERSHIP, MX, SPF, DKIM, DMARC = CHECKS = ("ownership", "mx", "spf", "dkim", "dmarc")
# records kept of a name, and signs of each: strangers write them
MOST_FOUND, LONGEST_FOUND = 10, 500
# of a longer name DMARC asks for these next: 8 questions at most
WALK_LABELS = 7

Wanted = namedtuple("Wanted", "name token dns required")
Wanted.__doc__ = """A domain by its xn-- name, its token, the `[dns]` section, and the checks that
its status depends on."""


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


def follow_up(wanted: Wanted, answers: dict) -> tuple[str, str] | None:
    """What has to be asked next, now that these answers are known; None when nothing has to be."""
    return _walk(wanted.name, answers)[1]


def own_name(dns) -> str:
    """A name of the service itself, which a resolver that works has an answer for; else the
    root."""
    return _ascii(next(iter([*dns.mx_hosts, dns.dkim_target, dns.spf_include]), ""))


def judge(wanted: Wanted, answers: dict) -> dict[str, dict]:
    """{check: result}, from {question: Answer}. Every question that was not asked counts as
    unanswered."""
    judges = {OWNERSHIP: _ownership, MX: _mx, SPF: _spf, DKIM: _dkim, DMARC: _dmarc}
    return {check: {**judges[check](wanted, answers), "required": check in wanted.required}
            for check in configured(wanted.dns)}


def judge_bad_name(wanted: Wanted) -> dict[str, dict]:
    """The same for a name that cannot be asked for."""
    words = (f"{wanted.name} is not a domain name.",
             "Remove the domain, and add it again with its correct name.")
    return {check: {**_fail(_place("", wanted.name, ""), (), "not_a_domain", *words),
                    "required": check in wanted.required} for check in configured(wanted.dns)}


def verdict(results: dict) -> str:
    """What the required records say together: one failure fails, whatever else was not answered."""
    states = {result["state"] for result in results.values() if result["required"]}
    return FAIL if FAIL in states else UNKNOWN if UNKNOWN in states else PASS


# The five records

def _ownership(wanted: Wanted, answers: dict) -> dict:
    prefix = wanted.dns.ownership_prefix
    expected = prefix + wanted.token
    place, (answer, texts) = _place("TXT", wanted.name, expected), _texts(answers, wanted.name)
    ours = [text for text in texts if _bare(text).startswith(prefix.lower())]
    if not wanted.token:
        return _fail(place, ours, "no_token", "This domain has no verification code yet.",
                     "Ask us for a new code.")
    if answer.outcome == UNKNOWN:
        return _unknown(place, answer)
    if any(_bare(text) == expected.lower() for text in ours):
        return _pass(place, ours)
    fix = f"Add a TXT record at {wanted.name} with exactly this value: {expected}"
    if ours:
        return _fail(place, ours, "other_token",
                     "There is such a record, but its code is not the one we expect.", fix)
    return _missing(place, answer, "TXT record with our code", fix)


def _mx(wanted: Wanted, answers: dict) -> dict:
    hosts = [_ascii(host) for host in wanted.dns.mx_hosts]
    expected = ", ".join(f"{10 * number} {host}" for number, host in enumerate(hosts, 1))
    place, answer = _place("MX", wanted.name, expected), _answer(answers, wanted.name, "MX")
    if answer.outcome == UNKNOWN:
        return _unknown(place, answer)
    records = sorted(answer.records) if answer.outcome == FOUND else []
    found = [f"{preference} {host}" for preference, host in records]
    add = f"Add these MX records at {wanted.name}: {expected}"
    if not records:
        return _missing(place, answer, "MX record", add)
    if any(host == "." for _, host in records):         # RFC 7505
        return _fail(place, found, "null_mx",
                     "The domain is set to accept no mail at all (a null MX record).",
                     f"Remove the MX record that has only a dot. {add}")
    ours = [preference for preference, host in records if _ascii(host) in hosts]
    if not ours:
        return _fail(place, found, "foreign_mx",
                     "Mail for this domain goes to mail servers that are not ours.",
                     f"Remove the existing MX records. {add}")
    foreign = [(preference, host) for preference, host in records if _ascii(host) not in hosts]
    # Mail goes to the lowest number first, and to equal ones in any order (RFC 5321 5.1).
    better = [host for preference, host in foreign if preference < min(ours)]
    if better:
        return _fail(place, found, "foreign_mx_first", f"{better[0]} has a lower number than our "
                     "mail servers, so mail goes there first.",
                     f"Remove {better[0]}, or give it a higher number than {min(ours)}.")
    level = [host for preference, host in foreign if preference == min(ours)]
    if level:
        return _pass(place, found, "foreign_mx_level", f"{level[0]} has the same number as our "
                     "mail servers, so some mail goes there.",
                     f"Remove {level[0]}, or give it a higher number than {min(ours)}.")
    return _pass(place, found)


def _spf(wanted: Wanted, answers: dict) -> dict:
    ours = f"include:{_ascii(wanted.dns.spf_include)}"
    place, (answer, texts) = _place("TXT", wanted.name, f"v=spf1 {ours} ~all"), _texts(answers,
                                                                                       wanted.name)
    if answer.outcome == UNKNOWN:
        return _unknown(place, answer)
    found = [text for text in texts if re.match(r"v=spf1(\s|$)", _bare(text))]
    if not found:
        return _missing(place, answer, "SPF record",
                        f"Add a TXT record at {wanted.name}: {place['expected']}")
    if len(found) > 1:                      # RFC 7208 4.5
        return _fail(place, found, "two_records", f"There are {len(found)} SPF records, and more "
                     "than one makes all of them invalid.",
                     f"Keep one of them, with {ours} in it, and remove the others.")
    terms = _bare(found[0]).split()[1:]
    at = [number for number, term in enumerate(terms) if same(term.lstrip("+-~?"), ours)]
    if not at:
        return _fail(place, found, "no_include", f"The SPF record does not contain {ours}",
                     f"Add {ours} to it, before the term that ends with: all")
    if terms[at[0]][0] in "-~?":
        return _fail(place, found, "wrong_sign",
                     f"The SPF record says {terms[at[0]]}, which does not allow us to send.",
                     f"Write {ours} without the sign in front of it.")
    ends = [number for number, term in enumerate(terms) if re.fullmatch(r"[-+~?]?all", term)]
    if ends and ends[0] < at[0]:            # RFC 7208 5.1
        return _fail(place, found, "after_all", f"In the SPF record, {ours} comes after "
                     f"{terms[ends[0]]}, where it is ignored.",
                     f"Move {ours} before {terms[ends[0]]}")
    return _pass(place, found)


def _dkim(wanted: Wanted, answers: dict) -> dict:
    dns, name = wanted.dns, _selector(wanted)
    target, key = _ascii(dns.dkim_target) if dns.dkim_target else "", _key(dns.dkim_key)
    place = _place("CNAME", name, target) if target else _place("TXT", name, f"v=DKIM1; p={key}")
    alias = _answer(answers, name, "CNAME") if target else None
    fix = f"Add a {place['type']} record at {name}: {place['expected']}"
    if alias and alias.outcome == UNKNOWN:
        return _unknown(place, alias)
    if alias and alias.outcome == FOUND:
        found = [f"CNAME {record}" for record in alias.records]
        if all(same(record, target) for record in alias.records):
            return _pass(place, found)
    answer, texts = _texts(answers, name)
    if answer.outcome == UNKNOWN:
        return _unknown(place, answer)
    keys = [text for text in texts if "p" in _tags(text)]
    if alias and alias.outcome == FOUND:
        if not (key and [_key(text) for text in keys] == [key]):
            # a chain to our key is as good
            return _fail(place, found, "wrong_target",
                         f"The CNAME points to {alias.records[0]}, not to us.", fix)
        return _pass(place, [*found, *keys])
    if not keys:
        return _missing(place, answer, "DKIM record", fix)
    if len(keys) > 1:
        return _fail(place, keys, "two_records", f"There are {len(keys)} keys at one name, and "
                     "more than one makes all of them invalid.", f"Remove them all. {fix}")
    if not _key(keys[0]):                   # RFC 6376 3.6.1
        return _fail(place, keys, "empty_key",
                     "The key is empty (p=), which means that it was revoked.", f"Remove it. {fix}")
    if key and _key(keys[0]) == key:
        return _pass(place, keys)
    return _fail(place, keys, "wrong_key", "The key in this record is not ours.",
                 f"Remove it. {fix}")


def _dmarc(wanted: Wanted, answers: dict) -> dict:
    name = f"_dmarc.{wanted.name}"
    place, (answer, texts) = _place("TXT", name, "v=DMARC1; p=none"), _texts(answers, name)
    if answer.outcome == UNKNOWN:
        return _unknown(place, answer)
    own = _dmarc_records(texts)
    if len(own) == 1:
        return _pass(place, own)
    above, not_asked, unanswered = _walk(wanted.name, answers)
    several = (f"There are {len(own)} DMARC records, and more than one makes all of them invalid.",
               "Keep one of them, and remove the others.")
    if above:
        at, record = _policy(wanted.name, above)
        if own:
            return _pass(place, own, "two_records",
                         f"{several[0]} The record at _dmarc.{at} is used.", several[1])
        return _pass({**place, "name": f"_dmarc.{at}"}, [record])
    if not_asked or unanswered:
        return _unknown(place, unanswered or _answer(answers, *not_asked))
    if own:
        return _fail(place, own, "two_records", *several)
    return _missing(place, answer, "DMARC record",
                    f"Add a TXT record at {name}: {place['expected']}")


def _walk(name: str, answers: dict) -> tuple:
    """The tree walk of RFC 9989 4.10, as far as the answers go, from a name to the names above it.

    ({name: its record}, the question to be asked next or None, the Answer that ended it by saying
    nothing or None)
    """
    found: dict = {}
    labels = name.split(".")
    for number in (len(labels), *range(min(len(labels) - 1, WALK_LABELS), 0, -1)):
        target = ".".join(labels[-number:])
        question = f"_dmarc.{target}", "TXT"
        if question not in answers:
            return found, question, None
        answer, texts = _texts(answers, question[0])
        if answer.outcome == UNKNOWN:
            return found, None, answer
        records = _dmarc_records(texts)
        if len(records) == 1:                   # of several, none counts
            found[target] = records[0]
            if target == name or _psd(records[0]) in ("y", "n"):
                break
    return found, None, None


def _policy(name: str, found: dict) -> tuple[str, str]:
    """(name, record) that counts: the highest, but not a public suffix's own if the domain below it
    has one."""
    top = list(found)[-1]
    if _psd(found[top]) == "y":
        below = ".".join(name.split(".")[-top.count(".") - 2:])
        top = below if below in found else top
    return top, found[top]


def _psd(record: str) -> str:
    return _tags(record).get("psd", "").lower()


def _dmarc_records(texts) -> list:
    return [text for text in texts if re.match(r"v\s*=\s*dmarc1\s*(;|$)", _bare(text))]


# What they share

def _place(kind: str, name: str, expected: str) -> dict:
    return {"type": kind, "name": name, "expected": expected}


def _pass(place: dict, found, reason: str = "", problem: str = "", fix: str = "") -> dict:
    return _result(PASS, place, found, reason, problem, fix)


def _fail(place: dict, found, reason: str, problem: str, fix: str) -> dict:
    return _result(FAIL, place, found, reason, problem, fix)


def _unknown(place: dict, answer) -> dict:
    return _result(UNKNOWN, place, (), "no_answer",
                   f"We could not check this record: {answer.why}.",
                   "We will check again. If this keeps happening, ask the provider of your DNS.")


def _missing(place: dict, answer, what: str, fix: str) -> dict:
    is_apex = not place["name"].startswith("_") and "._domainkey." not in place["name"]
    if answer.outcome == NXDOMAIN and is_apex:
        return _fail(place, (), "no_domain", f"{shown(place['name'])} does not exist in DNS: it is "
                     "not registered, or has no name servers.", fix)
    return _fail(place, (), "missing", f"There is no {what}.", fix)


def _result(state: str, place: dict, found, reason: str, problem: str, fix: str) -> dict:
    return {"state": state, **place, "found": [str(text)[:LONGEST_FOUND]
                                               for text in found][:MOST_FOUND], "reason": reason,
            "problem": problem, "fix": fix}


def _answer(answers: dict, name: str, kind: str):
    return answers.get((name, kind)) or Answer(UNKNOWN, why="it was not asked")


def _texts(answers: dict, name: str) -> tuple:
    """(the Answer, its texts)."""
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
