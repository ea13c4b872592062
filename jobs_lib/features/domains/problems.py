"""What is wrong with a record of a domain and how to fix it, in words for its owner."""
from __future__ import annotations

OWNERSHIP, MX, SPF, DKIM, DMARC = CHECKS = ("ownership", "mx", "spf", "dkim", "dmarc")

TITLES = {OWNERSHIP: "Proof of ownership", MX: "Mail servers (MX)", SPF: "SPF", DKIM: "DKIM",
          DMARC: "DMARC"}
# what there is none of: else of the title
RECORDS = {OWNERSHIP: "TXT record with our code", MX: "MX record"}
# how to add it
ADD = {OWNERSHIP: "Add a TXT record at {name} with exactly this value: {expected}",
       MX: "Add these MX records at {name}: {expected}"}
ADD_ONE = "Add a {type} record at {name}: {expected}"

# {reason: (problem, fix)}. Both may hold `{name}`, `{type}` and `{expected}` of the record,
# `{shown}`, its name as people read it, `{what}` and `{add}` of the check, and what a check itself
# says of the record that it found. docs/domains.md lists the reasons.
TEXTS = {
    "": ("", ""),
    "no_answer": (
        "We could not check this record: {why}.",
        "If this keeps happening, ask the provider of your DNS why nobody answers."),
    "no_domain": (
        "{shown} does not exist in DNS: it is not registered, or has no name servers.",
        "{add}"),
    "missing": ("There is no {what}.", "{add}"),
    "two_records": (
        "There are {number} {what}s, and more than one makes all of them invalid.",
        "Keep one of them{with_ours}, and remove the others."),
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
    "no_include": (
        "The SPF record does not contain {ours}",
        "Add {ours} to it, before the term that ends with: all"),
    "wrong_target": ("The CNAME points to {target}, not to us.", "{add}"),
    "empty_key": ("The key is empty (p=), which means that it was revoked.", "Remove it. {add}"),
    "wrong_key": ("The key in this record is not ours.", "Remove it. {add}"),
}


def texts(check: str, reason: str, values: dict) -> tuple[str, str]:
    """(problem, fix) of a record; `values` are what the texts may hold."""
    values = {**values, "what": RECORDS.get(check, f"{TITLES[check]} record"),
              "add": ADD.get(check, ADD_ONE).format(**values)}
    problem, fix = TEXTS[reason]
    return problem.format(**values), fix.format(**values)
