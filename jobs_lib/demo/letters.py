"""The sample service's notices: some kept from before, some that wait, and reading what was
delivered of them."""
from __future__ import annotations

import os
from datetime import timedelta

_ago = timedelta

# status, age
KEPT = (("sent", _ago(days=95)), ("failed", _ago(days=91)), ("sent", _ago(days=20)))
USED = "You have used 80% of your email allowance"
# kind, persona, priority, owner, age, subject, text. Who had used how much was told by a job, the
# rest by the app.
WAITING = (
    ("newsletter", "porter", 2, "jane", _ago(hours=2), "What is new in November",
     "You can now bring a domain."),
    ("usage_threshold", "porter", 1, "jane", _ago(minutes=9), USED,
     "You have used 81% of your email allowance for this billing period: 810\nof 1,000 emails."),
    ("usage_threshold", "porter", 1, "sam", _ago(minutes=8), USED,
     "You have used 80% of your email allowance for this billing period: 4,000\nof 5,000 emails."),
    ("new_sign_in", "security", 0, "jane", _ago(minutes=1), "A new sign-in to your account",
     "If it was you, you do not need to do anything."),
)


def fill(db, now, owners: dict) -> None:
    """Insert them all. Sam wants no word about how much he has used."""
    for number, (status, age) in enumerate(KEPT):
        sent = now - age if status == "sent" else None
        db.insert("notifications", user_id=owners["jane"], kind="usage_threshold",
                  to_email="jane@home.example", status=status, subject=USED,
                  dedupe_key=f"sample-usage:{number}", created_at=now - age, sent_at=sent,
                  finished_at=now - age)
    for kind, persona, priority, owner, age, subject, text in WAITING:
        db.insert("notifications", user_id=owners[owner], kind=kind, persona=persona,
                  priority=priority, to_email=f"{owner}@home.example", subject=subject,
                  body_text=f"Hello,\n\n{text}\n", dedupe_key=f"sample:{kind}:{owner}",
                  created_at=now - age)
    db.insert("notification_optouts", user_id=owners["sam"], kind="usage_threshold")


def delivered(maildir: str, number: int) -> dict | None:
    """The notice no. `number` as it lies in the Maildir, or None: sender, to_email, subject,
    body_text, body_html."""
    from email import message_from_bytes, policy

    path = os.path.join(maildir, "new", f"notice-{number}.jobs")
    if not os.path.exists(path):
        return None
    with open(path, "rb") as file:
        message = message_from_bytes(file.read(), policy=policy.default)
    parts = {form: message.get_body((form,)) for form in ("plain", "html")}
    text, html = (part.get_content().replace("\r\n", "\n") if part else None
                  for part in parts.values())
    return {"sender": message["From"], "to_email": message["To"], "subject": message["Subject"],
            "body_text": text or "", "body_html": html}
