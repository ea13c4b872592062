"""Delete quarantined messages and their spool files after 30 days.

The days count from `quarantined_at`, whether or not the owner has released the message: what was
released has been forwarded. Nobody is warned. A file that another row still names, such as a queued
forward of a released message, is kept until that row is deleted.

The run logs how many rows it deleted and how many bytes their files freed.

Killed or run twice: rows are deleted in small commits, and their files just before each commit. A
kill between the two leaves rows past their time, which the next run deletes.
"""
from __future__ import annotations

from . import Rule, keep, purge

job = purge(
    table="spam_quarantine", files="raw_path", schedule="19 3 * * *",
    options={"keep": keep("30d", "How long spam is kept, with its raw message.")},
    rules=(Rule("quarantined_at"),),
    sample=("id", "sender", "score", "quarantined_at", "released_at", "size_bytes"),
)
