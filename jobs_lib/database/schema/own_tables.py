"""The tables that this bundle writes, in the notation of database/schema/tables.py."""
from __future__ import annotations

TEXT = """
notifications: Mail to users and operators, waiting or sent; bodies are emptied once sent.
    user_id         ref:users:with  null
    kind            word
    persona         word  = porter
    to_email        address
    subject         line  = ''
    body_text, body_html  text     null
    dedupe_key      label  null  # names the occasion: one notice for each
    priority        int  = 1  # 0 urgent, 1 normal, 2 low
    status          word  = pending  # pending, sending, sent, failed
    attempts        int  = 0
    next_attempt_at  time  null  # NULL: now
    last_attempt_at  time  null
    last_code       int  null  # SMTP reply code
    last_error      text  null
    created_at      now
    sent_at         time  null
    finished_at     time  null  # when it was sent, or failed for good
    claim_run       word  null
    uncertain       int  = 0
    unique dedupe: dedupe_key  # a notice is queued only once
    index due: status, next_attempt_at, attempts, last_attempt_at
    index turns: status, user_id, priority, next_attempt_at
    index urgent: status, priority, user_id, next_attempt_at
    index age: status, created_at

notification_optouts: Kinds of notices that a user does not want.
    user_id         ref:users:with
    kind            word
    key user_id, kind

message_stats: Totals of log rows that were purged.
    user_id         ref:users:with
    alias_id        ref:aliases:later  = 0  # 0: none
    day             date
    direction, status  word
    email_count, bytes_used  big      = 0
    key user_id, alias_id, day, direction, status
    index day: day, user_id  # rollup_usage: one day of everybody

usage_daily: Bytes and e-mails of each user and UTC day.
    user_id         ref:users:with
    day             date
    email_count, bytes_used  big      = 0
    key user_id, day
    index day: day

usage_weekly: Bytes and e-mails of each user and week.
    user_id         ref:users:with
    week_start      date  # a Monday
    email_count, bytes_used  big      = 0
    key user_id, week_start
    index week: week_start

usage_events: Thresholds crossed: one row for each cycle, metric and threshold.
    user_id         ref:users:with
    cycle_start     date
    metric          word  # bandwidth, emails
    threshold       int  # percent
    used, limit_value  big      = 0
    elapsed_percent  int  = 0
    created_at      now
    unique once: user_id, cycle_start, metric, threshold

audit_archives: Files with archived audit rows.
    location        line  # without user and password
    row_count       big  = 0
    first_id, last_id  ref:audit_logs:past  null
    cutoff          time  null
    sha256              hash  null
    status          word  = writing  # writing, verified, purged
    created_at      now
    index status: status, created_at  # archive_audit_logs: left by a dead run; old ones

account_deletions: Deletions of accounts, without saying whose.
    user_ref        hash  # keyed, of the user's id
    requested_at    time  null  # users.deleted_at
    revoked_at      time  null
    erase_after     time  null  # the deletion date that the owner was given
    completed_at    time  null  # stays NULL if the account was restored in time
    counts          json  null  # rows deleted or changed, by table
    index user: user_ref  # delete_accounts: go on with this account

retired_addresses: Addresses that are never issued again, as HMACs.
    address_hash    hash
    created_at      now
    key address_hash

job_state: Whether a job is paused, and since when its schedule counts.
    job             word
    paused_at, due_after  time     null
    last_options    json  null
    key job

job_runs: One row for each run.
    run_id, job     word
    slot            time  null  # the scheduled time; NULL: by hand, or continues a run
    trigger_type    word  = manual  # scheduled, continue, manual, worker
    installation    word  = ''
    lock_name       label  = ''
    heartbeat_at, lease_until  time     null
    progress        json  null
    host            label  = ''
    pid             int  null
    status          word
    started_at      time
    finished_at     time  null
    duration_ms     big  null
    counts          json  null
    stop_reason     line  null
    error           text  null
    unique slot: job, slot
    unique run: run_id  # the end of a run is written to its own row
    index latest: job, id  # a job's latest runs
    index outcome: job, status, id  # a job's last good runs
    index started: started_at
    index running: status, lease_until  # those that run now, or died

meta: Facts about this database.
    name            word
    value           line  = ''
    key name

queue_turns: Which owner was served last in each ring of a queue; those after it are next.
    ring            word  # of a queue: `notification`, `notification:urgent`
    last_owner      word  null  # an id; NULL: rows of nobody
    key ring

relay_state: One row: until when all mail is paused, and why.
    id              int
    paused_until    time  null
    reason          line  null
    since           time  null  # when the failures began
    key id

alerts: Incidents that the operator is notified of, one row each; kept for a while after the end.
    alert_key       label  # names the incident: `failing:retry_forwards`
    kind            word  # what docs/monitoring.md explains under this name
    since           time  # when the incident began
    subject         line  = ''
    error           text  null  # the last error
    first_seen_at   time  # when check_jobs first found it
    cleared_at      time  null  # since when it is not found
    resolved_at     time  null  # when it was over
    notified_at     time  null  # when a channel last reported it
    key alert_key

attempts: Each attempt at an item of a queue, as `jobs.py queue forwards 16` shows.
    kind            word  # forward, notification, webhook, domain, export
    item_id         ref:*:past  # the id of its row, which may be deleted by now
    user_id         ref:users:stays  null
    domain          address  null  # the recipient's
    recipient       hash  null  # keyed, so that it names nobody
    urgent          flag  = 0
    run_id          word  null  # NULL: sent by the operator
    began_at        time
    finished_at     time  null  # NULL: not finished, or its run was killed
    outcome         word  # sending, sent, refused, retry, uncertain, ...
    code            int  null  # SMTP reply code, HTTP status
    answer          line  null  # the response, shortened, addresses masked
    index item: kind, item_id  # the story of an item; what came of it
    index counted: kind, began_at, outcome, urgent  # what the relay's limits count
    index domain: domain, outcome, id  # whether others there accept mail
    index age: began_at
"""
TABLES = {block.strip().partition(":")[0]: block for block in TEXT.split("\n\n")}
