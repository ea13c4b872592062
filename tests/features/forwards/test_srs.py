"""Rewritten senders are those of Mail::SRS, valid for three weeks and for nobody else's secret."""
from __future__ import annotations

import re
import subprocess
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.product import SrsError, addresses, forward, reverse
from tests.support.require import missing, program

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=timezone.utc)
SECRET = "s3cret"
OURS = "ours.example"
SENDERS = ["alice@sender.example", "Bob.Smith+x@Sender.Example", "a=b=c@x.example",
           "SRS0@x.example", "srs@x.example", "SRS0=XyZ1=AB=first.example=carol@second.example",
           "srs0+XyZ1=AB=first.example=carol@second.example",
           "SRS0-XyZ1=AB=first.example=carol@second.example", "x" * 80 + "@sender.example",
           "SRS1=hash=first.example==XyZ1=AB=zero.example=carol@second.example",
           "o'hara@sender.example"]

PERL = """
BEGIN { *CORE::GLOBAL::time = sub { $main::now } }
use Mail::SRS;
our ($now, $secret, $action, @addresses) = @ARGV;
my $srs = Mail::SRS->new(Secret => $secret, MaxAge => 21);
for (@addresses) {
    my $answer = eval {
        $action eq 'forward' ? $srs->forward($_, 'ours.example') : $srs->reverse($_)
    };
    print $answer // 'refused', "\\n";
}
"""


def perl(action: str, addresses: list, now=NOW) -> list:
    """What Mail::SRS, the original, says at that time; `refused` where it dies."""
    binary = program("perl", "perl")
    if subprocess.run([binary, "-MMail::SRS", "-e", "1"], capture_output=True,
                      check=False).returncode:
        missing("Mail::SRS is not installed (Debian: apt-get install libmail-srs-perl)")
    command = [binary, "-e", PERL, str(int(now.timestamp())), SECRET, action, *addresses]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_original_forwards_as_we_do_reverses_ours_and_we_reverse_its():     # R36
    theirs = perl("forward", SENDERS)
    assert [forward(sender, OURS, SECRET, NOW) for sender in SENDERS] == theirs
    assert [reverse(address, SECRET, NOW) for address in theirs] == perl("reverse", theirs)
    assert perl("reverse", [forward(sender, OURS, SECRET, NOW)
                            for sender in SENDERS[:3]]) == SENDERS[:3]


@pytest.mark.parametrize("days", range(-3, 26))
def test_both_agree_on_age(days):     # R36
    address = forward("alice@sender.example", OURS, SECRET, NOW)
    later = NOW + timedelta(days=days)
    try:
        ours = reverse(address, SECRET, later)
    except SrsError:
        ours = "refused"
    if days == -1:                # a day of clock difference is ours alone
        assert ours == "alice@sender.example"
    else:
        assert [ours] == perl("reverse", [address], later)
        assert (ours != "refused") is (0 <= days <= 21)


@pytest.mark.slow
@given(local=st.from_regex(r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]{1,60}", fullmatch=True),
       domain=st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,6}){1,2}", fullmatch=True),
       secret=st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()))
@settings(max_examples=300)
def test_there_and_back_again(local, domain, secret):     # R36
    sender = f"{local}@{domain}"
    once = forward(sender, OURS, secret, NOW)
    assert addresses.check(once) == once
    if re.match("(?i)srs[01][-+=]", local):
        return
    assert reverse(once, secret, NOW) == sender
    # a relay that changes the case
    assert reverse(once.upper(), secret, NOW).lower() == sender.lower()
    twice = forward(once, "second.example", "other", NOW)
    assert twice.startswith("SRS1=")
    assert reverse(twice, "other", NOW) == once
    thrice = forward(twice, "third.example", "third", NOW)
    assert reverse(thrice, "third", NOW) == once            # straight to the first, past the second


@pytest.mark.parametrize("address", [
    "alice@ours.example", "SRS0@ours.example", "SRS0=@ours.example", "SRS0====@ours.example",
    "SRS0=abcd=JN=sender.example@ours.example", "SRS1=abcd=first.example@ours.example",
    "SRS2=a=b=c=d@ours.example",
    "SRS0=abcd=J1=sender.example=alice@ours.example",
    "SRS0=abcd=JNA=sender.example=alice@ours.example", "", "x",
    "SRS0=abcd=JN=sender.example=alice@ours.example", "SRS0=a\r\nb=JN=s.example=x@ours.example",
    "SRS1=abcd=first.example==XyZ1=AB=zero.example=carol@ours.example"])
def test_a_forged_or_broken_address_is_refused(address):     # R36
    with pytest.raises(SrsError):
        reverse(address, SECRET, NOW)


@given(sender=st.sampled_from(["SRS0=XyZ1=AB=first.example=carol", "SRS0+XyZ1=AB=first.example=a-b",
                               "SRS0-a+/9=JN=f.ex=x=y"]),
       later=st.integers(0, 1023), data=st.data())
@settings(max_examples=300)
# R36
def test_the_hash_of_a_twice_rewritten_address_opens_no_once_rewritten_one(sender, later, data):
    """The hash is over the parts without what stands between them, as others have it: they could be
    parted anew."""
    now = NOW + timedelta(days=later)
    stamp = forward("x@y.example", OURS, SECRET, now)[10:12].lower()
    twice = forward(f"{sender}@{stamp}evil.example", OURS, SECRET, NOW).rpartition("@")[0]
    mac = twice.split("=")[1]
    whole = f"{stamp}evil.example" + twice.split("=", 3)[3]
    at = data.draw(st.integers(3, len(whole) - 1))
    with pytest.raises(SrsError):
        reverse(f"SRS0={mac}={whole[:2]}={whole[2:at]}={whole[at:]}@{OURS}", SECRET, now)


def test_each_part_is_under_the_hash():     # R36
    good = forward("alice@sender.example", OURS, SECRET, NOW)
    for old, new in (("alice", "malice"), ("sender.example", "evil.example"), ("=JN=", "=JO=")):
        assert old in good
        with pytest.raises(SrsError, match="hash"):
            reverse(good.replace(old, new), SECRET, NOW)
    with pytest.raises(SrsError, match="hash"):
        reverse(good, "other", NOW)


def test_without_a_secret_nothing_is_rewritten_and_what_needs_it_not_stays():     # R36
    for sender in ("", "bounces@ours.example", "Bounces@OURS.example"):
        assert forward(sender, OURS, SECRET, NOW) == sender
    assert [forward(none, OURS, SECRET, NOW) for none in (None, "<>", "Mailer-Daemon")] == [""] * 3
    for secret in ("", None):
        with pytest.raises(SrsError, match="srs_secret"):
            forward("alice@sender.example", OURS, secret, NOW)
        with pytest.raises(SrsError, match="srs_secret"):
            reverse("SRS0=abcd=JN=sender.example=alice@ours.example", secret, NOW)
