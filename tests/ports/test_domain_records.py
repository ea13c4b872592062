"""What check_domains says of each record of a domain, by what a real name server answers."""
from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

from tests.servers.dns_servers import Unbound
from tests.support.db import Client
from tests.support.shell import Shell

TOKEN = "Abc123"
KEY = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA" + "x/+" * 20 + "AQAB"
OWNED, MX = f'@ TXT "porter-verify={TOKEN}"', "@ MX 10 mx1.service.example."
SPF = '@ TXT "v=spf1 include:spf.service.example ~all"'
DKIM = "porter._domainkey CNAME porter._domainkey.service.example."
DMARC = '_dmarc TXT "v=DMARC1; p=none"'
GOOD = {"ownership": OWNED, "mx": MX, "spf": SPF, "dkim": DKIM, "dmarc": DMARC}
# (which record, what stands in its place, why it is not good: "" where it is)
CASES = [
    ("ownership", '@ TXT "PORTER-VERIFY=Abc123"', ""),
    ("ownership", '@ TXT "porter-verify=zzz"\n@ TXT "porter-verify=Abc123"', ""),
    ("ownership", '@ TXT "porter-" "verify=Abc123"', ""),
    # quotes that were typed into a panel
    ("ownership", r'@ TXT " \"porter-verify=Abc123\" "', ""),
    ("ownership", "", "missing"),
    ("ownership", '@ TXT "porter-verify=Abc1234"', "other_token"),
    ("ownership", '@ TXT "porter-verify="', "other_token"),
    ("ownership", 'www TXT "porter-verify=Abc123"', "missing"),
    ("mx", "@ MX 10 MX2.Service.Example.", ""),
    ("mx", "@ MX 10 mx1.service.example.\n@ MX 20 mail.other.example.", ""),
    ("mx", "", "missing"),
    ("mx", "@ MX 10 mail.other.example.", "foreign_mx"),
    ("mx", "@ MX 20 mx1.service.example.\n@ MX 10 mail.other.example.", "foreign_mx_first"),
    ("mx", "@ MX 0 .", "null_mx"),
    ("mx", "@ MX 10 mx1.service.example.\n@ MX 10 mail.other.example.", ""),
    ("spf", '@ TXT "V=SPF1 a +Include:SPF.Service.Example -ALL"', ""),
    ("spf", '@ TXT "v=spf1 include:spf.serv" "ice.example ~all"', ""),
    ("spf", "", "missing"),
    ("spf", f'{SPF}\n@ TXT "v=spf1 -all"', "two_records"),
    ("spf", '@ TXT "v=spf1 include:spf.other.example ~all"', "no_include"),
    ("spf", '@ TXT "v=spf1 -include:spf.service.example ~all"', "no_include"),
    ("dkim", "porter._domainkey CNAME Porter._Domainkey.Service.Example.", ""),
    ("dkim", f'porter._domainkey TXT "v=DKIM1; k=rsa; p={KEY}"', ""),
    ("dkim", "", "missing"),
    ("dkim", "porter._domainkey CNAME key.other.example.", "wrong_target"),
    ("dkim", 'porter._domainkey TXT "v=DKIM1; p=abc"', "wrong_key"),
    ("dkim", f'porter._domainkey TXT "v=DKIM1; p={KEY.lower()}"', "wrong_key"),
    ("dkim", 'porter._domainkey TXT "v=DKIM1; p="', "empty_key"),
    ("dmarc", '_dmarc TXT "v=DMARC1; p=reject; rua=mailto:x@home.example"', ""),
    ("dmarc", "", "missing"),
    ("dmarc", f'{DMARC}\n_dmarc TXT "v=DMARC1; p=reject"', "two_records"),
    ("dmarc", '_dmarc TXT "v=DMARC12; p=none"', "missing"),
    ("dmarc", '@ TXT "v=DMARC1; p=none"', "missing")]
REQUIRED = ("ownership", "mx")


def zone(records: dict, name: str) -> str:
    """Records of a domain, as lines of the zone above it."""
    lines = "\n".join(filter(None, records.values())).split("\n")
    return "\n".join(line.replace("@", name, 1) if line.startswith("@") else
                     line.replace(" ", f".{name} ", 1) for line in lines)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> list[dict]:
    """The rows of all domains, after one run."""
    folder = tmp_path_factory.mktemp("records")
    url = f"sqlite:///{folder}/jobs.db"
    good = "\n".join(zone({**GOOD, check: lines}, f"d{number}")
                     for number, (check, lines, _) in enumerate(CASES))
    with Unbound({"good.example": good, "broken.example": None}) as resolver:
        service = Shell(folder, url, dns={
            "nameservers": f"127.0.0.1:{resolver.port}", "dkim_key": KEY,
            "mx_hosts": "mx1.service.example, mx2.service.example", "timeout": "10s",
            "spf_include": "spf.service.example", "dkim_selector": "porter",
            "dkim_target": "porter._domainkey.service.example"})
        db = Client(url)
        now = datetime.now(timezone.utc)
        for name in [*(f"d{number}.good.example" for number in range(len(CASES))),
                     "d.broken.example", "missing.example"]:
            db.insert("users", email="owner@home.example", status="active", created_at=now)
            db.insert("domains", user_id=1, name=name, ownership_token=TOKEN, created_at=now)
        assert service.job("check_domains")["status"] == "ok"
        rows = db.query("SELECT * FROM {domains} ORDER BY id")
        db.close()
    return [{**row, "dns_results": json.loads(row["dns_results"])} for row in rows]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_record_is_good_or_not_and_only_the_required_decide(results, number):       # R48, R50
    check, _, why = CASES[number]
    found = results[number]["dns_results"]
    assert {name: each["state"] for name, each in found.items()} == {
        **dict.fromkeys(GOOD, "pass"), check: "fail" if why else "pass"}
    result = found[check]
    assert (result["reason"], bool(result["problem"] and result["fix"])) == (why, bool(why))
    assert result["expected"]
    assert results[number]["status"] == ("pending" if why and check in REQUIRED else "verified")


def test_no_answer_says_nothing_and_no_such_name_says_all(results):       # R48
    broken, missing = results[-2:]
    for row, state, reason in ((broken, "unknown", "no_answer"), (missing, "fail", "missing")):
        assert {each["state"] for each in row["dns_results"].values()} == {state}
        assert row["dns_results"]["ownership"]["reason"] == reason
        assert (row["status"], row["failures"]) == ("pending", 0)
