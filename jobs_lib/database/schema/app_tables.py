"""The tables that the web app and the mail hook write, in the notation of
database/schema/tables.py."""
from __future__ import annotations

TEXT = """
users: People with an account.
    email           address  = ''
    name            name  = ''
    status          word  = active  # active, suspended, deleted
    bandwidth_limit_bytes  big  null  # NULL: no limit
    email_limit     big  null  # NULL: no limit
    billing_anchor  date  null  # first day of a cycle; NULL: created_at
    log_retention_days  int  null  # NULL: [purge_message_logs] keep; below 3 counts as 3
    created_at      now
    deleted_at      time  null written
    index email: email  # sign-in
    index status: status, deleted_at  # delete_accounts: deleted ones, oldest first
    index retention: log_retention_days  # purge_message_logs: own retentions

aliases: The addresses that receive mail.
    user_id         ref:users:with
    domain_id       ref:domains:unset  null written
    address         address
    active          flag  = 1 written
    expires_at      time  null
    expiry_notified_at  time  null written  # set it to NULL with a new expires_at
    created_at      now
    unique address: address  # the mail hook: whose is this recipient
    index expiry: active, expires_at  # expire_aliases: active ones by their end

destinations: The owners' real addresses, where mail is forwarded to.
    user_id         ref:users:with
    email           address
    verified_at     time  null
    reminded_at, removal_notified_at  time     null written
    created_at      now
    index verified: verified_at, created_at  # expire_destination_verifications: oldest first

alias_destinations: Which alias forwards where. Add a row by a SELECT of its destination.
    alias_id        ref:aliases:with
    destination_id  ref:destinations:with
    key alias_id, destination_id

destination_verifications: Tokens mailed to prove that a destination is the owner's.
    destination_id  ref:destinations:with
    token_hash      hash
    expires_at      time
    created_at      now
    index token: token_hash  # the app's check
    index expiry: expires_at  # expire_destination_verifications

domains: Users' own domains.
    user_id         ref:users:with
    name            address
    ownership_token  label  = ''
    status          word  = pending written  # pending, verified, failed
    dns_results     json  null written
    checked_at, next_check_at, recheck_requested_at  time     null written
    failing_since   time  null written
    failures        int  = 0 written
    warned_at, verified_at  time     null written
    created_at      now
    index user: user_id  # an account's domains: pages, export, deletion
    index name: name  # --set domain=NAME
    index due: next_check_at  # check_domains
    index turns: user_id, next_check_at  # check_domains
    index check: status, next_check_at  # check_domains: what has no time yet
    index recheck: recheck_requested_at  # check_domains: what was asked for
    index age: status, created_at  # queue domains --since

message_logs: One row for each message that passed or was stopped; no content.
    user_id         ref:users:with
    alias_id        ref:aliases:later  null
    direction       word  # forward, reply, send
    status          word  # delivered, blocked, held, spam, bounced, failed
    bytes_used      big  = 0
    created_at      now
    index created: created_at, user_id, bytes_used  # purge_message_logs; covers rollup_usage
    index user: user_id, created_at  # an account's log: retention, export, deletion

header_snapshots: Encrypted headers of logged messages.
    message_log_id  ref:message_logs:with
    user_id         ref:users:with
    ciphertext      blob  null
    created_at      now
    index created: created_at  # purge_header_snapshots

failed_emails: Forwards that failed at the first try: one row is one recipient.
    user_id         ref:users:with
    alias_id        ref:aliases:with
    destination_id  ref:destinations:with  null
    envelope_from   address  = ''  # the null sender is '', <> or MAILER-DAEMON
    envelope_to     address
    raw_path        path  # relative to [spool] dir; rows can share a file
    size_bytes      big  = 0
    status          word  = pending written  # pending, sending, sent, failed
    attempts        int  = 0 written  # retries made
    next_attempt_at  time  null written  # NULL: created_at + the first delay
    last_attempt_at  time  null written
    last_code       int  null written  # SMTP reply code
    last_error      text  null written
    created_at      now
    finished_at     time  null written
    claim_run       word  null written
    uncertain       int  = 0 written  # 1: lost in flight, retried once; 2: was retried
    notified_at     time  null written  # when its notice was sent; also if none was due
    notice_id       ref:notifications:later  null written  # the notice that lists it
    index due: status, next_attempt_at, attempts, last_attempt_at  # retry_forwards
    index turns: status, user_id, next_attempt_at  # retry_forwards
    index path: raw_path  # spool files
    index finished: status, finished_at, created_at  # purge_failed_emails
    index unreported: status, notified_at, notice_id  # retry_forwards: failures without notice
    index notice: notice_id  # send_notifications: the rows that a notice lists

overflow_hold: Messages held back because the account was over its limit.
    user_id         ref:users:with
    alias_id        ref:aliases:later
    sender          address  = ''
    subject         line  = ''
    size_bytes      big  = 0
    raw_path        path
    held_at         time
    warned_at       time  null written
    warning_id      ref:notifications:later  null written  # the notice that listed it
    released_at     time  null
    index held: released_at, held_at  # expire_overflow_hold: unreleased ones by age
    index warning: warning_id  # which messages a notice listed
    index path: raw_path  # spool files

spam_quarantine: Messages judged to be spam.
    user_id         ref:users:with
    alias_id        ref:aliases:later
    sender          address  = ''
    subject         line  = ''
    score           real  = 0
    size_bytes      big  = 0
    raw_path        path
    quarantined_at  time
    released_at     time  null
    index quarantined: quarantined_at  # purge_spam_quarantine
    index path: raw_path  # spool files

audit_logs: Who did what, for the operator.
    user_id         ref:users:stays  null written
    actor           name  = '' written
    event           label
    severity        word  = info  # info, warning, critical
    ip              word  = '' written
    details         json  null written
    created_at      now
    index age: severity, created_at  # archive_audit_logs: critical ones are kept longer

magic_links: One-time sign-in links.
    user_id         ref:users:with
    token_hash      hash
    expires_at      time
    used_at         time  null
    created_at      now
    index token: token_hash  # the app's check
    index expiry: expires_at  # purge_magic_links
    index used: used_at  # purge_magic_links

sessions: Sign-in sessions of browsers.
    user_id         ref:users:with
    token_hash      hash
    created_at, last_seen_at  now
    expires_at      time  # the latest end, however often it is used
    index token: token_hash  # the app's check
    index expiry: expires_at  # purge_sessions
    index idle: last_seen_at  # purge_sessions

webhooks: Endpoints that users registered.
    user_id         ref:users:with
    url             line
    secret          label  # whsec_ and base64
    previous_secret  label  null
    previous_secret_expires_at  time null
    active          flag  = 1 written
    disabled_at     time  null written
    disabled_reason  line  null written
    failing_since   time  null written
    paused_until    time  null written  # if it asked to wait, or does not answer
    created_at      now

webhook_deliveries: Events to deliver to an endpoint, and what came of it.
    webhook_id      ref:webhooks:with
    user_id         ref:users:with
    event_id        label  # the webhook-id header
    event_type      label  = ''
    payload         text  null
    status          word  = pending written  # pending, sending, delivered, failed
    attempts        int  = 0 written  # the app's own first one included
    next_attempt_at  time  null written  # NULL: last_attempt_at + the delay, else created_at
    last_attempt_at  time  null written
    response_status  int  null written
    response_excerpt, last_error  text     null written
    created_at      now
    finished_at     time  null written
    claim_run       word  null written
    uncertain       int  = 0 written
    index due: status, next_attempt_at, attempts, last_attempt_at  # retry_webhooks
    index turns: status, user_id, next_attempt_at  # retry_webhooks
    index hook: webhook_id, status, next_attempt_at  # an endpoint's queue; its deletion
    index age: status, created_at  # purge_webhook_deliveries: finished ones by age

export_requests: Requests for an export of an account.
    user_id         ref:users:with
    status          word  = queued written  # queued, running, ready, failed, expired
    progress        int  = 0 written  # percent
    file_name       path  null written
    file_bytes      big  null written
    sha256, token_hash  hash     null written
    attempts        int  = 0 written
    next_attempt_at  time  null written
    requested_at    now
    started_at, finished_at, expires_at  time     null written
    error           text  null written
    claim_run       word  null written
    uncertain       int  = 0 written
    index due: status, next_attempt_at  # export_accounts
    index turns: status, user_id, next_attempt_at  # export_accounts
    index age: status, requested_at  # queue exports --since
    index expiry: status, expires_at  # export_accounts: what is past its link
    index token: token_hash  # find_export(token)
    index user: user_id, requested_at  # one running and a few a day for each account
"""
TABLES = {block.strip().partition(":")[0]: block for block in TEXT.split("\n\n")}
