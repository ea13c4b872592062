"""The configuration: typed values from four places; every problem reported at once, with its place,
without a secret."""
from __future__ import annotations

import re
from datetime import timedelta

import pytest

from jobs_lib import catalogue
from jobs_lib.config import loader, settings
from jobs_lib.errors import ConfigError, UsageError

SECRET = 'p%s;s#w=r"d $HOME'


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

def test_paths_count_from_the_folder_of_the_file(load, tmp_path):
    given = load("[core]\nstate_dir = there/state\nlog_dir = /var/log/jobs\n[mail]\nca_file =")
    assert given.section("core").state_dir == str(tmp_path / "there" / "state")
    assert given.section("core").log_dir == "/var/log/jobs"
    assert given.section("mail").ca_file == ""


# What wins

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


@pytest.mark.parametrize("text, dotenv", [
    (f"password = {SECRET}", None), (f"password={SECRET}", None),
    ("", "'p%s;s#w=r\"d $HOME'"), ("", '"p%s;s#w=r\\"d $HOME"')])
def test_a_password_of_any_signs_survives_both_files(load, text, dotenv):
    given = load(f"[mail]\n{text}\n", dotenv and f"JOBS_MAIL_PASSWORD={dotenv}\n")
    assert given.section("mail").password == SECRET


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


# Arguments of a run

ARGUMENTS = [(job.name, name) for job in catalogue.load_all() for name,
             option in job.options.items() if option.argument]


@pytest.mark.parametrize("name, argument", ARGUMENTS)
# R63
def test_an_argument_of_a_run_is_refused_in_files_and_in_the_environment(load, tmp_path, name,
                                                                         argument):
    value = {"domain": "a.example"}.get(argument, "2026-01-01")
    variable, job = f"JOBS_{name}_{argument}".upper(), catalogue.load(name)
    for given, place in (
            (load(f"[{name}]\n{argument} = {value}\n"), f"{tmp_path}/config.ini line 2"),
            (load(dotenv=f"{variable}={value}"), f"{tmp_path}/.env line 1"),
            (load(dotenv="", **{variable: value}), f"environment variable {variable}")):
        with pytest.raises(ConfigError) as caught:
            given.job(job)
        assert str(caught.value) == (f"[{name}] {argument} is about one run, and no option: take "
                                     f"it out ({place}), and give it by hand: jobs.py {name} --set "
                                     f"{argument}=VALUE")
    assert load(dotenv="").with_overrides([f"{name}.{argument}={value}"], None).job(job)
