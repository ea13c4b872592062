"""The configuration: typed values from four places; every problem reported at once, with its place,
without a secret."""
from __future__ import annotations

import re
from datetime import timedelta

import pytest

from jobs_lib import catalogue
from jobs_lib.config import loader, settings
from jobs_lib.errors import ConfigError, UsageError

SECRET = "p%s;s#w=r'd\"x"


@pytest.fixture
def load(tmp_path):
    """`load("[mail]\\nport = 25", JOBS_MAIL_HOST="x")`: a Config of this text and environment."""
    def make(text: str = "", dotenv: str | None = None, **environ: str) -> loader.Config:
        (tmp_path / "config.ini").write_text(text, encoding="utf-8")
        if dotenv is not None:
            (tmp_path / ".env").write_text(dotenv, encoding="utf-8")
        return loader.load(None, beside=str(tmp_path), environ=environ)
    return make


def problems(given: loader.Config, *sections: str) -> list[str]:
    """What is wrong for a run that needs these sections (or all, and all jobs)."""
    with pytest.raises(ConfigError) as caught:
        given.check([] if sections else catalogue.load_all(), sections or tuple(settings.SECTIONS))
    return caught.value.problems


# Values

def test_without_a_file_the_defaults_hold(tmp_path):
    given = loader.load(None, beside=str(tmp_path), environ={})
    assert given.section("mail").port == 587
    assert given.section("core").budget == timedelta(minutes=4)
    assert not given.sources.found


@pytest.mark.parametrize("section", settings.SECTIONS)
def test_every_default_is_valid(load, section):
    assert vars(load().section(section)).keys() == {{"from": "from_"}.get(name, name)
                                                    for name in settings.SECTIONS[section]}


@pytest.mark.parametrize("name", catalogue.names())
def test_every_default_of_a_job_is_valid(load, name):
    job = catalogue.load(name)
    options = load().job(job)
    for option in settings.job_options(job):        # each is typed when it is asked for
        assert hasattr(options, loader.attribute(option))
    assert not hasattr(options, "no_such_option")


def test_an_option_named_like_a_word_of_python_has_an_underscore(load):
    assert load("[mail]\nfrom = notices@example.org").section("mail").from_ == "notices@example.org"


def test_paths_count_from_the_folder_of_the_file(load, tmp_path):
    given = load("[core]\nstate_dir = there/state\nlog_dir = /var/log/jobs\n[mail]\nca_file =")
    assert given.section("core").state_dir == str(tmp_path / "there" / "state")
    assert given.section("core").log_dir == "/var/log/jobs"
    assert given.section("mail").ca_file == ""


def test_a_section_is_judged_only_when_it_is_asked_for(load):
    given = load("[mail]\nport = abc\n[retry_forwards]\ndelays = never")
    assert given.section("core").lock == "file"
    assert problems(given, "mail") == [("[mail] port = 'abc': expected a whole number, 1-65535 "
                                       f"({given.path} line 2)")]


# What wins

def test_each_place_wins_over_those_before_it(load):
    text, dotenv = "[mail]\nhost = file\n", "JOBS_MAIL_HOST=dotenv\n"

    def host(given) -> tuple:
        option = settings.SECTIONS["mail"]["host"]
        return given.section("mail").host, given.written("mail", "host", option).origin

    assert host(load()) == ("localhost", "default")
    assert host(load(text)) == ("file", "file")
    assert host(load(text, dotenv)) == ("dotenv", ".env")
    assert host(load(text, dotenv, JOBS_MAIL_HOST="environment")) == ("environment", "environment")
    given = load(text, dotenv, JOBS_MAIL_HOST="environment").with_overrides(["mail.host=set"], None)
    assert host(given) == ("set", "--set")


def test_a_persona_that_is_not_set_writes_from_the_services_domain(load):
    found = load("[mail]\ndomain = alias.example\n[personas]\nsecurity = Safety "
                 "<safety@other.example>\n")
    assert found.section("personas").porter == "Porter <porter@alias.example>"
    assert found.section("personas").security == "Safety <safety@other.example>"
    assert load("[core]\n").section("personas").porter == "Porter <porter@localhost>"
    # the name of [mail] from is that of each persona that is not set
    found = load("[mail]\ndomain = alias.example\nfrom = Acme Mail <n@alias.example>\n[personas]\n"
                 "security = Safety <safety@other.example>\n")
    assert found.section("mail").from_ == "n@alias.example"
    assert found.section("personas").overflow == "Acme Mail <overflow@alias.example>"
    assert found.section("personas").security == "Safety <safety@other.example>"
    assert load("[mail]\ndomain = a b\n").section("personas").porter == "Porter <porter@localhost>"


def test_an_empty_variable_empties_the_option(load):
    assert load("[mail]\nusername = me", JOBS_MAIL_USERNAME="").section("mail").username == ""


def test_a_job_whose_name_begins_with_a_sections_keeps_its_variables(load, monkeypatch):
    monkeypatch.setattr(catalogue, "names", lambda: ["mail_reports"])
    assert load(JOBS_MAIL_REPORTS_BUDGET="1m").section("mail").port == 587


@pytest.mark.parametrize("write", ["password = {}", "password={}", "password   =   {}   "])
def test_a_password_of_any_signs_survives_the_file(load, write):
    assert load(f"[mail]\n{write.format(SECRET)}\n").section("mail").password == SECRET


@pytest.mark.parametrize("quote", ["'p%s;s#w=r\"d $HOME'", '"p%s;s#w=r\\"d $HOME"'])
def test_a_password_of_any_signs_survives_dotenv(load, quote):
    given = load(dotenv=f"JOBS_MAIL_PASSWORD={quote}\n")
    assert given.section("mail").password == 'p%s;s#w=r"d $HOME'


def test_the_tables_of_an_app_are_named_in_the_file_or_the_environment(load):
    given = load("[tables]\nusers = members\naliases = mail_aliases",
                 JOBS_TABLES_ALIASES="their_aliases")
    assert given.tables() == {"users": "members", "aliases": "their_aliases"}
    assert load().tables() == {}


# R63: `migrate` said to merge them
def test_a_table_may_have_the_name_that_another_of_ours_does_not_need(load):
    load("[core]\nprefix = pa_\n[tables]\nusers = aliases").check(catalogue.load_all())
    load("[tables]\nusers = aliases\naliases = users").check(catalogue.load_all())


# Problems

def test_all_problems_are_told_together(load):              # R63
    given = load("""\
[core]
budget = 4
timezone = Europe/Berln
[mail]
port = 99999
hots = relay.example.org
a line without an equals sign
[mial]
port = 25
[personas]
porter = porter@example.org
[tables]
user = members
[retry_forwards]
delays = 1h, soon
schedule = 61 * * * *
""", JOBS_MAIL_PER_HOUR="many")
    assert [problem.replace(given.path, "FILE") for problem in problems(given)] == ALL_TOLD


ALL_TOLD = """\
FILE line 7: expected option = value in [mail]
[mial]: there is no such section; did you mean 'mail'? (FILE line 8)
[tables] user: there is no such option; did you mean 'users'? (FILE line 13)
[core] timezone = 'Europe/Berln': expected UTC or a zone such as Europe/Berlin; did you mean \
'Europe/Berlin'? (FILE line 3)
[core] budget = '4': expected a duration with its unit, such as 90d, 36h, 15m or 30s (FILE line 2)
[mail] hots: there is no such option; did you mean 'host'? (FILE line 6)
[mail] port = '99999': expected a whole number, 1-65535 (FILE line 5)
[mail] per_hour = 'many': expected a whole number, 1-10000000, or off (environment variable \
JOBS_MAIL_PER_HOUR)
[personas] porter = 'porter@example.org': expected Name <address>, such as Porter \
<porter@example.org> (FILE line 11)
[retry_forwards] schedule = '61 * * * *': minute '61': expected 0-59, '*', a range, a list, or a \
step such as */5 (FILE line 16)
[retry_forwards] delays = '1h, soon': 'soon': expected a duration with its unit, such as 90d, 36h, \
15m or 30s (FILE line 15)
""".splitlines()


def test_a_variable_of_two_lines_gets_no_hint_about_the_file(load):
    assert problems(load(JOBS_MAIL_PORT="25\n26"), "mail") == [
        "[mail] port = '25': expected one line (environment variable JOBS_MAIL_PORT)"]


def test_a_wrong_database_url_is_among_the_problems(load):
    found = problems(load("[core]\ndatabase = postgres://me:hunter2@x\nbudget = 4\n"), "core")
    assert len(found) == 2
    assert "hunter2" not in "".join(found)


def test_an_unknown_variable_of_a_section_is_a_problem(load):      # R63
    assert problems(load(JOBS_MAIL_PASWORD="x"), "mail") == [
        ("[mail] pasword: there is no such option; did you mean 'password'? (variable "
        "JOBS_MAIL_PASWORD)")]


def test_a_line_that_makes_no_sense_is_told_to_every_run(load):
    given = load("[mail]\nnonsense\n")
    assert problems(given, "core") == [f"{given.path} line 2: expected option = value in [mail]"]


@pytest.mark.parametrize("text", [
    "[mail]\npassword = {}\npassword = other",
    "[mail]\npassword = x\n{}",                             # half of a wrapped password
    "[mail]\npassword = x\n {}",
    "[mail]\npassword: {}",
    "[mail]\nusername = me\n password = {}",                # one space too many
    "[retry_forwards]\ndelays = 1h,\n budget = {}",
    "[mail]\nhost = smtp://me:{}@relay.example.org",
    "[core]\napp_url = ftp://me:{}@example.org",
    "[mail]\n{} = x",
    "{}",
])
def test_no_problem_tells_a_secret(load, text):             # R63
    secret = "hunter2/Zq8="
    given = load(text.format(secret))
    assert "hunter2" not in "\n".join(problems(given))


def test_no_wrong_override_tells_a_secret(load):
    with pytest.raises(UsageError) as caught:
        load().with_overrides(["mail.pasword=hunter2"], None)
    assert str(caught.value).startswith("--set mail.pasword: [mail] has no such option; did you "
                                        "mean 'password'?")
    assert "hunter2" not in str(caught.value)


# --set

def test_set_names_an_option_of_the_job_or_of_any_section(load):
    job = catalogue.load("retry_forwards")
    given = load().with_overrides(["delays=1m, 2m", "core.budget=10m",
                                   "purge_failed_emails.enabled=no"], job)
    assert given.job(job).delays == (timedelta(minutes=1), timedelta(minutes=2))
    assert given.section("core").budget == timedelta(minutes=10)
    assert not given.job(catalogue.load("purge_failed_emails")).enabled


@pytest.mark.parametrize("word, expected", [
    ("dleays=1h", "--set dleays: [retry_forwards] has no such option; did you mean 'delays'?"),
    ("keep=5q", "--set keep: [retry_forwards] has no such option (it has delays, "),
    ("purge_sessions.keep=0",
     "--set purge_sessions.keep: [purge_sessions] has no such option; did you mean 'idle'?"),
    ("mial.port=25", "--set mial.port: there is no section [mial]; did you mean 'mail'?"),
    ("delays", "--set delays: expected delays=VALUE"),
    ("x",
     "--set x: expected OPTION=VALUE of this job, or SECTION.OPTION=VALUE, such as core.budget=2m"),
    ("=hunter2", "--set (no name): expected OPTION=VALUE of this job, or SECTION.OPTION=VALUE"),
    ("core.=1", "--set core.(no name): expected OPTION=VALUE of this job, or SECTION.OPTION=VALUE"),
    ("mail.port", "--set mail.port: expected mail.port=VALUE"),
])
def test_a_wrong_override_is_wrong_usage(load, word, expected):
    with pytest.raises(UsageError, match="^" + re.escape(expected)):
        load().with_overrides([word], catalogue.load("retry_forwards"))


def test_a_wrong_value_says_that_set_gave_it_whether_or_not_the_job_reads_it(load):
    with pytest.raises(ConfigError) as caught:
        load().with_overrides(["core.budget=soon", "mail.port=99999"],
                              catalogue.load("rollup_usage"))
    assert len(caught.value.problems) == 2
    assert all(words.endswith("(--set)") for words in caught.value.problems)


# Arguments of a run

ARGUMENTS = [(job.name, name) for job in catalogue.load_all() for name,
             option in job.options.items() if option.argument]


def test_what_one_run_is_told_is_declared_as_its_argument():     # R63
    assert set(ARGUMENTS) == {("check_domains", "domain"), ("rollup_usage", "from"),
                              ("rollup_usage", "to")}


@pytest.mark.parametrize("name, argument", ARGUMENTS)
# R63
def test_an_argument_of_a_run_is_refused_in_files_and_in_the_environment(load, tmp_path, name,
                                                                         argument):
    value = {"domain": "a.example"}.get(argument, "2026-01-01")
    variable = f"JOBS_{name}_{argument}".upper()
    job = catalogue.load(name)
    for given, place in ((load(f"[{name}]\n{argument} = {value}\n"),
                          f"{tmp_path}/config.ini line 2"), (load(dotenv=f"{variable}={value}"),
                                                             f"{tmp_path}/.env line 1"),
                         (load(dotenv="", **{variable: value}),
                          f"environment variable {variable}")):
        with pytest.raises(ConfigError) as caught:
            given.job(job)
        assert str(caught.value) == (f"[{name}] {argument} is about one run, and no option: take "
                                     f"it out ({place}), and give it by hand: jobs.py {name} --set "
                                     f"{argument}=VALUE")
    assert load(dotenv="").with_overrides([f"{argument}={value}"], job).written(
        name, argument, job.options[argument]).origin == "--set"
    assert load().with_overrides([f"{name}.{argument}={value}"], None).job(job)
