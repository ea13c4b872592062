"""What is wrong with a record of a domain and how to fix it, in words for its owner."""
from __future__ import annotations

OWNERSHIP, MX, SPF, DKIM, DMARC = ("ownership", "mx", "spf", "dkim", "dmarc")

TITLES = {OWNERSHIP: "Proof of ownership", MX: "Mail servers (MX)", SPF: "SPF", DKIM: "DKIM",
          DMARC: "DMARC"}
ADD = "Add at {name}, as {type} record: {expected}"

# {reason: (problem, fix)}, in which `{add}` is how to add the record, and `{why}` why there was no
# answer. docs/domains.md lists the reasons.
TEXTS = {
    "": ("", ""),
    "no_answer": (
        "We could not check this record: {why}.",
        "If this keeps happening, ask the provider of your DNS why nobody answers."),
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
        "Copy the include: from {expected} into it, before the term that ends with: all"),
    "wrong_target": ("The CNAME does not point to us.", "{add}"),
    "empty_key": ("The key is empty (p=), which means that it was revoked.", "Remove it. {add}"),
    "wrong_key": ("The key in this record is not ours.", "Remove it. {add}"),
}
