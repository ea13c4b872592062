"""The config area: mistakes, what is rarely meant, and what a host will not stand."""
from __future__ import annotations

import pytest

from jobs_lib.config import loader
from jobs_lib.doctor import AREAS, examine
from jobs_lib.doctor.installation import Installation


def test_a_configuration_that_is_complete_is_in_order(lite):
    assert [found.what for found in lite.found("config")] == ["[alerts] ping_url is not set"]


@pytest.mark.parametrize("environ, level",
                         [({}, "warning"), ({"JOBS_MAIL_HOST": "relay.example.org"}, "note")])
def test_a_configuration_that_is_missing_is_warned_of_unless_another_source_has_it(tmp_path,
                                                                                   environ, level):
    installation = Installation(loader.load(None, beside=str(tmp_path), environ=environ), "jobs.py")
    found = [found for found in examine(installation, ["config"])
             if "config.ini: the defaults hold" in found.what]
    assert [each.level for each in found] == [level]


def test_every_mistake_is_a_problem_with_its_place(lite):                  # R63
    lite.configure("mail", port="abc")
    lite.configure("purge_sessions", idle="soon")
    lite.configure("mial", host="x")
    found = [each.what for each in lite.found("config") if each.level == "problem"]
    assert len(found) == 3
    assert all(f"{lite.folder}/config.ini line" in each for each in found)
    assert any("[mail] port = 'abc': expected a whole number, 1-65535" in each for each in found)
    assert any("did you mean" in each and "[mial]" in each for each in found)


def test_each_remedy_fits_its_cause(lite):
    lite.configure("mail", port="abc", transport="smtp", **{"from": ""})
    lite.configure("archive", store="")
    fixes = {each.what.partition(" (")[0]: each.fix for each in lite.found("config")}
    start = f"python3 jobs.py --config {lite.folder}/config.ini config set"
    assert fixes["[mail] port = 'abc': expected a whole number, 1-65535"].endswith(
        f"\n  {start} mail.port VALUE")
    audit = next(what for what in fixes if "audit rows" in what)
    assert audit.startswith("[archive_audit_logs] keep = 365d, and [archive] store is empty")
    assert fixes[audit].endswith(f"\n  {start} archive.store var/archives")
    lite.configure("mail", port="25", username="me")
    fixes = {each.what: each.fix for each in lite.found("config")}
    assert fixes["[mail] username is set, password is not"].endswith(f"{start} mail.password")
    assert fixes["[mail] from is not set"].endswith(f"{start} mail.from notices@example.org")


@pytest.mark.parametrize("section, option", [("alerts", "emial"), ("mail", "hots")])
def test_a_mistake_is_told_once_and_not_what_its_default_leads_to(lite, section, option):     # R63
    if section == "alerts":
        lite.sections["alerts"].pop("email")        # what it should have been
    lite.configure(section, **{option: "x.example.org"})
    found = [each for area in ("config", "mail") for each in lite.found(area)
             if each.level in ("problem", "warning")]
    assert [each.what.partition(":")[0] for each in found] == [f"[{section}] {option}"]


def test_a_mistake_in_one_section_stops_no_other_check(lite):
    lite.configure("core", budget="soon", timezone="Mars/Olympus")
    assert not [found for area in AREAS if area not in ("config", "cron", "mail")
                for found in lite.found(area)]


def test_both_day_fields_restricted_are_warned_of(lite):                   # R8
    lite.configure("purge_sessions", schedule="0 3 1 * mon")
    found = next(found for found in lite.found("config") if "schedule" in found.what)
    assert found.level == "warning"
    assert found.what == ("[purge_sessions] schedule = 0 3 1 * mon: day of month (1) and weekday "
                          "(mon) are both restricted, and as in cron either one is enough")


@pytest.mark.parametrize("schedule", ["0 3 * * mon", "0 3 1 * *", "@monthly", "0 3 */2 * mon"])
def test_one_day_field_alone_is_no_trap(lite, schedule):                   # R8
    lite.configure("purge_sessions", schedule=schedule)
    assert not any("schedule" in found.what for found in lite.found("config"))


@pytest.mark.parametrize("section, budget, warned", [
    ("core", "4m", False), ("core", "270s", False), ("core", "271s", True),
    ("purge_sessions", "10m", True)])
def test_a_run_longer_than_hosts_allow_is_warned_of(lite, section, budget, warned):
    lite.configure(section, budget=budget)
    found = [found.what for found in lite.found("config") if "over 5 minutes" in found.what]
    assert [f"[{section}] budget" in words for words in found] == ([True] if warned else [])


@pytest.mark.parametrize("kept, words", [("23h", "under a day"), ("1d", ""), ("3660d", ""),
                                         ("3661d", "over ten years")])
def test_a_retention_that_looks_like_a_slip_is_warned_of(lite, kept, words):
    lite.configure("purge_message_logs", keep=kept)
    found = [found.what for found in lite.found("config") if "keep =" in found.what]
    assert [words in each for each in found] == ([True] if words else [])


def test_a_key_that_is_not_set_has_to_be_in_the_backup(lite):
    lite.sections["core"].pop("secret_key")
    lite.configure("core")
    found = next(found for found in lite.found("config") if "secret_key" in found.what)
    assert (found.level, f"{lite.folder}/state/secret" in found.what) == ("note", True)


def test_an_alert_that_reaches_nobody_is_warned_of(lite):
    lite.configure("alerts", email="")
    found = next(found for found in lite.found("config") if "nobody is alerted" in found.what)
    assert (found.level, found.fix.split("\n")[1:]) == ("warning",
                                                         ["  [alerts]",
                                                          "  email = you@example.org"])


@pytest.mark.parametrize("other, how", [("spool", "is"), ("spool/logs", "holds")])
def test_a_spool_folder_that_is_another_ones_too_is_a_problem(lite, other, how):
    lite.configure("core", log_dir=other)
    found = next(found for found in lite.found("config") if found.what.startswith("[spool] dir"))
    assert (found.level, f"that {how} [core] log_dir" in found.what) == ("problem", True)


def test_worth_a_look_is_told_once(lite):
    lite.configure("mail", transport="smtp", domain="localhost", password="hunter2hunter2",
                   username="me")
    (lite.folder / "config.ini").chmod(0o644)
    words = [found.what for found in lite.found("config", "files")]
    assert sum("[mail] domain = localhost" in each for each in words) == 1
    assert sum("can be read by everyone" in each for each in words) == 1
