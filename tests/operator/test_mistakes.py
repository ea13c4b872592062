"""Every mistake of an operator that has a message of its own: what the program says of it, and how
it ends. All of a configuration are listed at once, none shows a secret."""
import pytest

from tests.support.shell import Shell

pytestmark = pytest.mark.quick
SECRET = "hunter2"
DURATION = "expected a duration with its unit, such as 90d, 36h, 15m or 30s"
HOST = "expected a host name such as mail.example.org, without scheme or port"
DATABASE = "mysql://user:password@host:3306/name"
WRAPPED = "continues on the next line, since that begins with a space; expected one line"
NOT_ONE_OF_OURS = "there is no such option"
VALUES = {
    "core.log_dir = a\x00b": "expected a path", "mail.username = a\x00b": "expected printable",
    "mail.srs_secret = hunter2": "expected at least 32 characters; or leave it empty",   # R71
    "core.prefix = my-": "expected letters, digits and _",
    "tables.users = a.b.c": "expected letters, digits and _",
    "core.budget = 4": DURATION, "core.budget = 1h30m": DURATION, "core.budget = 0m": "of 1s to 1d",
    "core.max_clock_jump = 1m": "expected a duration of 1h to 366d, or off",
    "archive.keep = 0d": "1s to 36500d, or off", "archive.keep = 99999d": "1s to 36500d, or off",
    "alerts.disk_free = 25": "expected a size with its unit, such as 500KB, 25MB or 2GB, or off",
    "mail.port = 99999": "expected a whole number, 1-65535",
    "mail.port = 25 # tls": "'25 # tls': expected a whole number, 1-65535",
    "mail.per_hour = many": "expected a whole number, 1-10000000, or off",
    "purge_sessions.enabled = maybe": "expected yes or no", "core.state_dir =": "expected a path",
    "core.lock = fiel": "expected file or database",
    "mail.security = ssl": "expected none, starttls or tls; for ssl, tls with port 465",
    "core.lock = database": "this database has no locks of that kind; expected file",
    "core.timezone = Europe/Berln": "a zone such as Europe/Berlin, which the system's package",
    "core.timezone = ../etc/passwd": "expected UTC or a zone such as Europe/Berlin",
    "retry_forwards.delays =": "expected at least 1, separated by commas",
    "retry_forwards.delays = 1h, soon": DURATION,
    "purge_sessions.schedule = 61 * * * *": "minute '61': expected 0-59, '*', a range",
    "mail.host = smtp://me:hunter2@relay.example.org": HOST, "mail.host =": HOST,
    "mail.from = Notices": "expected an address such as notices@example.org",
    "personas.porter = a@b.example": "expected Name <address>, such as Porter <porter@example.org>",
    "dns.nameservers = ns.example.org": "expected an address such as 192.0.2.1 or 192.0.2.1:5353",
    "webhooks.allow_networks = 10.1.2.3/16": "a network such as 10.1.0.0/16, with no host bits",
    "core.app_url = ftp://me:hunter2@example.org": "expected https:// or http:// and a name",
    "export.url = https://grün.example": "grün.example as xn--grn-ioa.example",
    "worker.redis = localhost:6379": "expected redis:// or rediss:// or unix://host, with a port",
    "worker.broker = http://localhost": "expected amqp:// or amqps:// or redis:// or rediss://host",
    "core.database = postgres://me:hunter2@host/name": "expected sqlite:///file.db or mysql://",
    "core.database = mysql://me:hunter2@host": f"expected {DATABASE}, the name without a slash",
    "core.database = 'mysql://me:hunter2@h/n'": "the quotes are part of the value: remove them",
    "core.database = mysql://me:hunter2@host/name?ssl=1": f"expected nothing after {DATABASE} but ",
    "core.database = mysql://me:hunter2@host/name?tls=ca": "expected ?ssl_ca=/path, the file",
    "core.database = mysql://me:hunter2@h/n?tls=off&ssl_ca=/x": "with &tls=ca, and not",
    "mail.host = a\n port = 25": WRAPPED, "mail.username = me\n password = hunter2": WRAPPED,
    "mail.pasword = hunter2": f"{NOT_ONE_OF_OURS}; did you mean 'password'?",
    "tables.user = x": f"{NOT_ONE_OF_OURS}; did you mean 'users'",
    "check_domains.domain = a.example": "by hand: jobs.py check_domains --set domain=VALUE",
    **dict.fromkeys([
        "archive.store = ftp://me:hunter2@host", "archive.store = ftps://host/a",
        "archive.store = ftps://hunter2@host/a", "archive.store = ftps://me:hunter2/Zq8=@host/a",
        "archive.store = ftps://me:hunter2?@host", "archive.store = ftps://me:hunter2@host:0/a",
    ], "expected ftps://user:password@host:21/folder; in user and password write % as %25, @ as")}
# (the whole text, what is said of it)
FILES = {
    "port = 25\n\nhunter2": "line 1, 3: expected [section], or option = value below one",
    "[mail]\nport = 25\n[core\nhost = a\nhunter2\nhost = b\n[dns]":
        "line 3: the closing ] is missing",
    "[mail]\nhunter2/Zq8= = x": "[mail] ",          # half of a wrapped password
    "[mail]\nport: hunter2\npassword hunter2\nhunter2 x\nPort:hunter2":
        "line 2 (port without =), 3 (password without =), 4, 5 (port without =): expected [sect",
    "[mail]\nport = 25\nPORT = 26": "[mail] port is set twice (",
    "[core]\nHost = a\nport = 25": f"[core] host, port: {NOT_ONE_OF_OURS}; is the line [mail] mis",
    "[retry_forward]": "there is no such section; did you mean 'retry_forwards'?"}
WORDS = {
    "xyzzy 1": "there is no job or command 'xyzzy'", "cancel export 1": "'exports': expected forw",
    "retry_forward": "there is no job or command 'retry_forward'; did you mean 'retry_forwards'?",
    "retry": "did you mean 'retry_forwards' or 'retry_webhooks'?",
    "run_due": "did you mean 'run-due'?", "archive": "did you mean 'archive_audit_logs'?",
    "--jsno list": "--jsno: expected a job or a command first",
    "history retry_forwrds": "there is no job 'retry_forwrds'; did you mean 'retry_forwards'?",
    "pause": "pause: the following arguments are required: JOB",
    "retry_forwards --dry": "--dry: there is no such option; did you mean '--dry-run'?",
    "retry_forwards now": "retry_forwards: unexpected argument 'now'",
    "retry_forwards --limit 0": "argument --limit: '0': expected a whole number, 1-1000000000",
    f"history --limit {'9' * 5000}": f"'{'9' * 40}': expected a whole number, 1-1000000000",
    "run-due --budget -4m": "argument --budget: expected one argument",
    "list --config": "--config: expected a file after it",
    "crontab --style perjob": "'perjob': expected one-line or per-job; did you mean 'per-job'?",
    "crontab --install --remove": "expected one of --install and --remove",
    "retry_forwards --set dleays=1h": "has no option dleays; did you mean 'delays'? (it ",
    "retry_forwards --set delays": "expected OPTION=VALUE of this job, or SECTION.OPTION=VALUE",
    "retry_forwards --set =hunter2": "--set: expected OPTION=VALUE of this job",
    "retry_forwards --set mial.port=25": "there is no section [mial]; did you mean 'mail'?",
    **{f"{job} --set {name}={value}": f"JOBS_{name.replace('.', '_').upper()} in .env"     # R71
       for job in ("retry_forwards", "test retry_forwards") for name, value in (
           ("mail.password", SECRET), ("core.database", "mysql://me:hunter2@localhost/x"),
           ("core.secret_key", SECRET * 5), ("alerts.webhook", f"https://hooks.example/{SECRET}"),
           ("worker.redis", "redis://:hunter2@localhost/0"))},
    "config shwo": "did you mean 'show'?", "queue domains a.example": "no domain 'a.example'",
    "config set mail 25": "expected SECTION.OPTION, such as mail.host",
    "config set mail.prot 25": "[mail] has no option prot; did you mean 'port'?",
    "mail test nobody": "expected an address", "mail tset a@b.example": "'tset': expected test (`",
    "preview --send a@b.example": "--send needs the KIND",
    "queue mails": "webhooks, domains, exports or deletions (`jobs.py",       # none is near
    "queue --failed": "need a queue", "queue forwards 1 --failed": "need a queue and no ID",
    "queue forwards --owner x@y.example": "no account or alias has this",
    "queue forwards x": "'x' is not an id: ids are numbers",
    **{f"queue forwards --since {time}": "expected a time such as"
       for time in ("tomorow", "99999999d", "0001-01-01T00:00+14:00")},
    "replay forwrads 1": "did you mean 'forwards'?", "replay forward 1 --all": "ids or --all, not",
    "replay forward --since 2026-11-24": "--before go with --all",
    "cancel notices": "either ids or --all", "cancel forward 1 --before 24h": "go with --all"}


@pytest.mark.parametrize("line", VALUES, ids=lambda line: ascii(line[:60]))
def test_a_wrong_value_says_what_is_expected(here, line):      # R63
    section, _, line_of_it = line.partition(".")
    answer = here("config", "check", ini=f"[{section}]\n{line_of_it}\n")
    assert answer.code == 78, answer
    for words in (VALUES[line], f"[{section}] ", line_of_it.partition(" =")[0]):
        assert words in answer.err
    assert SECRET not in answer.err


@pytest.mark.parametrize("text", FILES)
def test_a_wrong_file_says_what_is_wrong(here, text):           # R63
    answer = here("config", "check", ini=f"{text}\n")
    assert (answer.code, SECRET in answer.err, answer.err.count("\n")) == (78, False, 1), answer
    assert FILES[text] in answer.err


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words[:60])
def test_wrong_words_are_one_sentence_with_the_nearest_right_ones(here, sqlite_url, words):  # R63
    answer = here(*words.split(" "))
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1), answer
    assert answer.err.startswith("jobs.py: ")
    assert (WORDS[words] in answer.err, SECRET in answer.err) == (True, False), answer


def test_all_mistakes_are_listed_together_with_their_places(line):          # R63
    path = line.ini("[core]\nbudget = 4\nlock = none\n[mail]\nhots = relay.example\na word\n"
                    "[nonsense]\n[retry_forwards]\nschedule = 61 * * * *\n")
    (line.folder / ".env").write_text("JOBS_MAIL_PASWORD=hunter2\n")
    answer = line("config", "check", JOBS_MAIL_PER_HOUR="many")
    head, *said = answer.err.splitlines()
    assert (answer.code, head) == (78, "jobs.py: 8 problems in the configuration:")
    for words in (f"({path} line 2)", f"({path} line 3)", f"({path} line 5)", "line 6: expected",
                  f"[nonsense]: there is no such section ({path})", f"({path} line 9)",
                  "/.env line 1)", "(environment variable JOBS_MAIL_PER_HOUR)"):
        assert len([each for each in said if words in each]) == 1, (words, said)
    assert SECRET not in answer.err
    # a mistake in [core] stops everything
    for words in ("run-due", "retry_forwards", "list", "history", "crontab", "migrate"):
        answer = line(words)
        assert (answer.code, "[core] budget = '4'" in answer.err) == (78, True), words
        assert "[core] lock = 'none'" in answer.err


@pytest.mark.parametrize("odd", ["", " ", "-", "--=", "\udcff"], ids=lambda odd: repr(odd[:5]))
def test_an_odd_word_anywhere_is_refused_in_a_sentence(tmp_path, here, sqlite_url, odd):     # R63
    """In processes of their own where a system's words are not those of Python."""
    ask = Shell(tmp_path) if odd == "\udcff" else here
    for words in (["--config"], ["list"], ["run-due", "--budget"], ["crontab", "--style"],
                  ["config", "show"], ["replay", "forward"], ["test", "retry_forwards", "--limit"],
                  ["retry_forwards", "--set"], ["history", "--limit"], ["help"], []):
        answer = ask(*words, odd, *(["list"] if words == ["--config"] else []))
        assert (answer.code in (1, 2, 78), answer.out) == (True, ""), words
        assert (answer.err.count("\n"), len(answer.err) < 1000) == (1, True)
