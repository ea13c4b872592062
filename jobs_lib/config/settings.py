"""Every shared option, declared once: parsing, checks, config.ini.example and the docs come from
here.

A job's own options stand in its module; those that every job has are in `JOB_OPTIONS`.
"""
from __future__ import annotations

from jobs_lib.catalogue import CRON, MODES

from . import option_types as kind
from .option_types import Option
from .secrets import hide_password

LOCAL = "localhost"  # until the service has a domain
CA_FILE = "The CA of the server's certificate, unless the system trusts it."
_BUDGET = kind.span("1s", "1d")
_LIMIT = kind.optional(kind.integer(1, 10_000_000))

# Replies that speak of the sending account's limit: every further message would get the same. They
# are found without case, anywhere in the text. A recipient's full mailbox ("quota exceeded", 5.2.2)
# must never match, so each is what only a relay says to its customer.
PAUSE_PATTERNS = (
    "max emails per hour", "max defers and failures per hour",  # cPanel with Exim
    "error: too much mail from", "error: too many recipients from",  # Postfix
    "is not allowed to send: recipient limit exceeded",  # Mailgun
    "throttling failure",  # Amazon SES
    # Gmail, and its relay
    "daily user sending", "daily sending quota exceeded", "smtp relay limit exceeded",
    # Microsoft 365, SendGrid, GoDaddy
    "submissionquotaexceeded", "concurrent connections limit exceeded",
    "maximum credits exceeded", "24-hour sending limit",
)


def _is_ftps(value: str) -> bool:
    from urllib.parse import urlsplit
    parts = urlsplit(value)
    is_whole = all((parts.username, parts.password, parts.hostname, parts.port != 0))
    return (is_whole and parts.scheme == "ftps" and value.isprintable()
            and not (parts.query or parts.fragment))


_FTPS = kind.checked(
    _is_ftps, "ftps://user:password@host:21/folder; in user and password write % as %25, @ as "
    "%40, / as %2F, ? as %3F, # as %23")


def _archive_store(value: str) -> str:
    if value.lower() == "off":  # as everywhere else; a folder of that name is ./off
        return ""
    return (_FTPS if "://" in value else kind.path).parse(value)


_STORE = kind.or_empty(kind.Kind(_archive_store, mask=hide_password, is_path=True))

SECTIONS = {
    "core": {
        "database": Option(
            kind.database, "sqlite:///var/jobs.db",
            "SQLite for a trial; else mysql://user:password@host:3306/name (docs/install.md)."),
        "prefix": Option(
            kind.identifier, "", "Put before every table name, if others share the database."),
        "state_dir": Option(
            kind.path, "var/state", "Locks and this installation's identity: never delete it."),
        "log_dir": Option(kind.path, "var/log", "One JSON Lines file for each job."),
        "timezone": Option(
            kind.timezone, "UTC", "For schedules, e.g. Europe/Berlin. The database uses UTC."),
        "lock": Option(
            kind.choice("file", "database"), "file",
            "Keeps a job from running twice at once. database: for two hosts, or NFS."),
        "mode": Option(kind.choice(*MODES), CRON, "Who runs the jobs: cron, rq or celery."),
        "budget": Option(
            _BUDGET, "4m",
            "How long a `run-due` may work: a minute less than your host allows a process."),
        "grace": Option(
            kind.span("1s", "1h"), "30s", "A run that hangs this long past its budget is killed."),
        "max_clock_jump": Option(
            kind.optional(kind.span("1h", "366d")), "1d",
            "After a larger jump, or this long without a run, nothing is deleted by age for 3 "
            "days (docs/failures.md). off: the clock is trusted."),
        "app_url": Option(
            kind.or_empty(kind.url), "", "Base of links in mail, e.g. https://www.example.org."),
        "secret_key": Option(
            kind.signing_key, "",
            "Signs links and senders; at least 32 characters. Empty: kept in state_dir/secret."),
    },
    "spool": {
        "dir": Option(kind.path, "var/spool", "The folder that `raw_path` is relative to."),
    },
    "mail": {
        "transport": Option(
            kind.choice("smtp", "maildir"), "smtp", "maildir: into a folder, for trials."),
        "maildir": Option(kind.path, "var/maildir", "That folder."),
        "host": Option(kind.host, "localhost", "The relay for outgoing mail."),
        "port": Option(
            kind.integer(1, 65535), "587", "587 is for starttls, 465 for tls, 25 for none."),
        "security": Option(
            kind.choice("none", "starttls", "tls", hint="; for ssl, tls with port 465"), "starttls",
            "none, starttls or tls: the certificate has to match `host`."),
        "username": Option(kind.text, "", "Empty: no login."),
        "password": Option(kind.secret, "", "Never sent unencrypted, except to this machine."),
        "ca_file": Option(kind.or_empty(kind.path), "", CA_FILE),
        "from": Option(
            kind.or_empty(kind.sender), "",
            "Sends alerts and receives bounces of notices: notices@example.org, or "
            "Name <address>."),
        "domain": Option(
            kind.host, LOCAL, "Your service's domain: forwarded mail has a sender in it."),
        "srs_secret": Option(
            kind.signing_key, "",
            "Signs senders (SRS); the hook that handles bounces needs it. Empty: from secret_key."),
        "per_minute": Option(_LIMIT, "off", "Recipients a minute; off: any number."),
        "per_hour": Option(
            _LIMIT, "80", "Recipients an hour: 80 % of what your host allows is safe."),
        "per_day": Option(_LIMIT, "off", "Recipients a day."),
        "failures_per_hour": Option(
            _LIMIT, "off", "Failed messages an hour (cPanel: try 4); then retries wait."),
        "pause_patterns": Option(kind.several(kind.text), ", ".join(PAUSE_PATTERNS),
            "Replies of a relay at its own limit: they pause all mail."),
    },
    "personas": {
        "porter": Option(kind.mailbox, "Porter <porter@localhost>", "Signs everyday notices."),
        "overflow": Option(
            kind.mailbox, "Overflow desk <overflow@localhost>", "Warns about held messages."),
        "security": Option(
            kind.mailbox, "Security <security@localhost>", "Writes about access and accounts."),
        "postmaster": Option(
            kind.mailbox, "Postmaster <postmaster@localhost>", "Writes about mail that failed."),
    },
    "archive": {
        "store": Option(
            _STORE, "", "A private folder, or ftps://user:password@host:21/folder. Empty: rows "
            "are deleted without an archive."),
        "keep": Option(
            kind.optional(kind.duration), "2555d", "Older archives are deleted. off: never."),
        "ca_file": Option(kind.or_empty(kind.path), "", CA_FILE),
    },
    "dns": {
        "nameservers": Option(
            kind.several(kind.nameserver, least=0), "",
            "Address or address:port. Empty: those of /etc/resolv.conf."),
        "mx_hosts": Option(
            kind.several(kind.host, least=0), "", "Hosts that a domain's MX records must name."),
        "spf_include": Option(
            kind.or_empty(kind.host), "", "What SPF must include, e.g. spf.example.org."),
        "dkim_selector": Option(
            kind.host, "porter", "The DKIM selector: what precedes ._domainkey.DOMAIN."),
        "dkim_target": Option(
            kind.or_empty(kind.host), "", "What a CNAME at that name must point to."),
        "dkim_key": Option(
            kind.text, "", "The public key (p=) that a TXT record there may hold instead."),
        "ownership_prefix": Option(
            kind.text, "porter-verify=",
            "Precedes the token in the TXT record that proves ownership."),
        "timeout": Option(
            kind.span("1s", "1m"), "5s", "For one query, with all servers and retries."),
    },
    "notifications": {
        "templates": Option(
            kind.or_empty(kind.path), "", "A folder whose files replace ours of the same name."),
    },
    "export": {
        "dir": Option(kind.path, "var/exports", "A private folder, never below the web root."),
        "url": Option(
            kind.or_empty(kind.url), "",
            "The download page, called with ?t=TOKEN. Empty: [core] app_url and /export."),
        "keep": Option(
            kind.duration, "7d", "How long an export can be downloaded before it is deleted."),
    },
    "webhooks": {
        "timeout": Option(
            kind.span("1s", "5m"), "15s", "From the name lookup to the end of the response."),
        "allow_networks": Option(
            kind.several(kind.network, least=0), "", "Private networks that endpoints may be in, "
            "e.g. 10.1.0.0/16: anyone with an endpoint can reach them."),
        "ca_file": Option(kind.or_empty(kind.path), "", CA_FILE),
        "outbox": Option(
            kind.or_empty(kind.path), "", "For trials: requests are written here, not sent."),
    },
    "alerts": {
        "email": Option(kind.several(kind.address, least=0), "", "Addresses that alerts go to."),
        "webhook": Option(
            kind.or_empty(kind.private_url), "",
            "Called with JSON that Slack, Discord, Mattermost and ntfy understand."),
        "ping_url": Option(
            kind.or_empty(kind.private_url), "",
            "Called after each `run-due`: Healthchecks alerts you when the calls stop."),
        "timeout": Option(kind.span("1s", "1m"), "5s", "How long such a call may take."),
        "after_failures": Option(
            kind.integer(1, 1000), "3", "Alert after this many consecutive failures of a job."),
        "queue_age": Option(
            kind.optional(kind.duration), "6h", "Alert when an item has been due for longer."),
        "queue_depth": Option(_LIMIT, "5000", "Alert when a queue has more due items than this."),
        "disk_free": Option(
            kind.optional(kind.size), "200MB", "Alert when less disk space than this is left."),
        "remind": Option(
            kind.optional(kind.duration), "24h", "Repeat an alert this often while it lasts."),
    },
    "status": {
        "page": Option(
            kind.or_empty(kind.path), "", "Written by each run of check_jobs, such as "
            "../public_html/status.html. It is safe to publish."),
    },
    "worker": {
        "redis": Option(
            kind.server_url("redis://", "rediss://", "unix://"), "redis://localhost:6379/0",
            "RQ's Redis: also redis://user:password@host:6379/0 or unix:///path/redis.sock."),
        "broker": Option(
            kind.server_url("amqp://", "amqps://", "redis://", "rediss://"),
            "amqp://guest:guest@localhost:5672//", "Celery's broker."),
        "queues": Option(
            kind.identifier, "jobs", "Prefix of the queue names on a shared broker."),
    },
}
MEANINGS = {
    "core": "What every job needs: where the data is, and how long a run may last.",
    "spool": "Raw messages on disk.",
    "mail": "How mail is sent.",
    "personas": "Who signs notices to users; by default at [mail] domain.",
    "archive": "Where audit rows go before they are deleted.",
    "dns": "The DNS records a user's own domain needs, and whom to ask. Empty: not checked.",
    "notifications": "Your own texts for notices to users.",
    "export": "Where users download what is stored about them, and for how long.",
    "webhooks": "How requests to users' endpoints are sent.",
    "alerts": "When something needs you: who is alerted, and how.",
    "status": "Files that show the status (docs/monitoring.md).",
    "worker": "Where RQ or Celery workers get their jobs.",
    "tables": "For a database that exists already (docs/adoption.md): our_table = its_table.",
}
# (section, name, Option) of each option that is no job's own
SHARED = [(section, *each) for section, known in SECTIONS.items() for each in known.items()]
# [tables] our_name = their_name: a database that exists
TABLES = "tables"

JOB_ALERTS = {
    "alert_after_failures": Option(
        kind.or_empty(kind.integer(1, 1000)), "", "This job's own [alerts] after_failures."),
    "mode": Option(kind.or_empty(kind.choice(*MODES)), "", "Who runs it. Empty: [core] mode."),
}
# the first three are the job's own declaration
JOB_OPTIONS = {
    "schedule": Option(kind.schedule, "", "When: minute, hour, day, month, weekday."),
    "enabled": Option(kind.switch, "", "no: never due, but it can be run by hand."),
    "budget": Option(_BUDGET, "", "How long one run works before it leaves the rest to the next."),
    **JOB_ALERTS,
}


def job_options(job) -> dict:
    """All options of a job's own section, with the declaration's defaults."""
    return {name: job_option(job, name) for name in (*JOB_OPTIONS, *job.options)}


def job_option(job, name: str) -> Option:
    """One of them. KeyError if there is none of this name."""
    return job.options.get(name) or JOB_OPTIONS[name]._replace(default=getattr(job, name, ""))
