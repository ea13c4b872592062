"""One run of the forwards: the files of what was sent a day ago, then everything that is due, then
the notices of what has finally failed.

Most runs find nothing to do, and load nothing that only work needs.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.engines import spool

LATER = timedelta(days=1)       # than its row was sent, a file goes
FIRST = timedelta(days=7)       # the first run looks so far back
LATELY = timedelta(hours=1)     # a notice was refused: a few runs see it


def drop_sent_files(ctx) -> None:
    """Delete the raw files of what was sent a day ago. The rows stay for a week."""
    folder = ctx.section("spool").dir
    for path in sent_files(ctx):
        if ctx.should_stop() or not ctx.may_expire():
            return
        try:
            ctx.count("files", spool.remove(folder, path) is not None)
        except OSError as error:
            # no reason to keep mail waiting; the purge tries again
            ctx.log.warning("file not removed", path=path, error=error.strerror)


def sent_files(ctx) -> list[str]:
    """The files of what was sent a day before this run and not before the last one, unless another
    row needs them.

    What is missed, after a long pause, goes with its row, in `purge_failed_emails`.
    """
    since = ctx.db.value("SELECT started_at FROM {job_runs} WHERE job = :job "
                         "AND status IN ('ok', 'partial') ORDER BY id DESC LIMIT 1",
                         job=ctx.job.name)
    first = clock.parse(since) if since else ctx.now - FIRST
    rows = ctx.db.query("SELECT DISTINCT raw_path FROM {failed_emails} WHERE status = 'sent'"
                        " AND finished_at >= :since AND finished_at <= :until LIMIT 5000",
                        since=clock.plus(first, -LATER), until=ctx.now - LATER)
    folder = ctx.section("spool").dir
    paths = {row["raw_path"] for row in rows if spool.is_there(folder, row["raw_path"])}
    return sorted(paths - spool.named(ctx.db, paths,
                                      but=("failed_emails", "status = 'sent'", {})))


def send_due(ctx):
    """Try every due row once. Returns what is wrong with the relay, if it does not work."""
    from jobs_lib.features import queues

    work = queues.work_to_do(ctx, queues.FORWARDS)
    if work is None:
        return None
    from jobs_lib.engines import mail_sending

    from .source import Forwards
    return mail_sending.send_due(work, Forwards(ctx), queues.other_mail(ctx, queues.FORWARDS))


def notify_owners(ctx) -> None:
    """Queue the notices that are owed for what has finally failed, and send those on that were
    refused just now."""
    if ctx.db.row("SELECT id FROM {failed_emails} WHERE status = 'failed' AND notified_at IS NULL "
                  "AND (notice_id IS NULL OR (SELECT finished_at FROM {notifications} WHERE "
                  "{notifications}.id = {failed_emails}.notice_id AND {notifications}.status = "
                  "'failed') > :lately) LIMIT 1", lately=ctx.now - LATELY):
        from jobs_lib.features.notifications.reminders import remind

        from .failure_notice import FAILED
        remind(ctx, FAILED)


def preview(ctx) -> None:
    """A dry run: what would be sent, and which owners would be notified of failures."""
    from jobs_lib.engines.preview import show_due_mail
    from jobs_lib.features import queues
    from jobs_lib.features.notifications.reminders import remind
    from jobs_lib.text import counted

    from .failure_notice import FAILED
    from .source import Forwards
    show_due_mail(ctx, queues.FORWARDS, Forwards(ctx), queues.other_mail(ctx, queues.FORWARDS))
    remind(ctx, FAILED)
    if files := len(sent_files(ctx)):
        ctx.count("files", files)
        ctx.show(f"remove {counted(files, 'file')} of sent forwards", [])
