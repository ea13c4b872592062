"""What a spam filter makes of the notices: SpamAssassin with its own rules, and nothing asked of
the network."""
from __future__ import annotations

import os
import re
import subprocess

from jobs_lib.commands.preview import READER
from jobs_lib.features.notifications import outbox, render
from jobs_lib.features.notifications.kinds import KINDS
from tests.commands.test_preview import FORMS, SAMPLES
from tests.support.require import program

PERSONAS = {KINDS[kind].persona: f"Service <{KINDS[kind].persona}@service.example>"
            for kind in SAMPLES}
# Without the sender's address: those reserved for examples are scored as forged.
RECEIVED = (f"Received: by mx.home.example with ESMTPS id 1A2B3C for <{READER}>;\r\n"
            "\tTue, 24 Nov 2026 15:05:10 +0000\r\n")


def as_received(kind: str, app_url: str, changes: dict) -> bytes:
    """A notice as the reader's server hands it to its filter."""
    letter = render.compose(kind, {"name": "Jane", "signature": "Porter", "app_url": app_url,
                                   **SAMPLES[kind],
                                    **changes})
    row = {"id": 1, "kind": kind, "persona": KINDS[kind].persona,
           "created_at": "2026-11-24 15:05:05", "first_attempt_at": "2026-11-24 15:05:05",
           "subject": letter.subject, "body_text": letter.text, "body_html": letter.html}
    content, _ = outbox.compose(row, READER, PERSONAS, "service.example")
    return RECEIVED.encode() + content


def scored(folder, mails: list[bytes]) -> list[dict]:
    """{rule: points} of each, by one process."""
    for number, mail in enumerate(mails):
        (folder / f"{number:03}.eml").write_bytes(mail)
    output = subprocess.run(
        [program("spamassassin", "spamassassin"), "--local", "--test-mode", "--nocreate-prefs",
         "--cf=clear_report_template", "--cf=report scored: _TESTSSCORES(,)_", "--cf=use_bayes 0",
         *sorted(str(path) for path in folder.glob("*.eml"))],
        env={**os.environ, "HOME": str(folder)}, stdin=subprocess.DEVNULL, capture_output=True,
        timeout=120, check=True)
    return [dict(pair.split("=") for pair in found.split(",") if "=" in pair)
            for found in re.findall(r"^scored: (.*)$", output.stdout.decode(), re.MULTILINE)]


def test_no_notice_is_scored_as_spam_in_any_form(tmp_path):
    forms = [form for form in FORMS if form[1]]                         # those with links
    scores = scored(tmp_path, [as_received(*form) for form in forms])
    assert len(scores) == len(forms) >= len(SAMPLES)
    assert all("HTML_MESSAGE" in rules for rules in scores)             # it has read them
    assert [(form[0], form[2], rule, points) for form, rules in zip(forms, scores) for rule,
            points in rules.items() if float(points) > 0.05] == []
