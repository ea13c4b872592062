"""What is honest work, however much it is, is not held back. R79

What the clock, a restored backup, dead addresses and changed rules need not stop is in their own
files beside this one.
"""
import pytest

from tests.guard.service import Service, sql, twin_of
from tests.support.product import ANSWERED, Response, catalogue

ALL = tuple(catalogue.names())


@pytest.mark.slow
def test_after_14_days_without_cron_deletions_wait_72_hours_and_all_goes_on_alone(bench, pool):
    # R68, R79: in these days all logs, sessions and messages, and five of 20 aliases, were due
    services = [Service(bench, *ALL), twin_of(bench, pool, *ALL)]
    for service in services:
        end = service.bench.ahead(days=3)
        ended = {"created_at": service.bench.now, "last_seen_at": service.bench.now}
        service.configure(purge_message_logs={"keep": "25d"})
        service.bench.bulk("sessions", [{**ended, "user_id": number, "expires_at": end}
                                        for number in range(1, 20)])
        sql("UPDATE aliases SET expires_at = '2026-11-30 12:00:00' WHERE id <= 5",
            "UPDATE users SET status = 'deleted', deleted_at = '2026-11-24 15:00:00' "
            "WHERE id = 20")(service)
        service.pass_time(24, step=6)
    away, twin = services
    away.bench.now = away.bench.ahead(days=14)
    twin.pass_time(14 * 24, step=8)
    away.tick()
    away.pass_time(70, step=5)
    assert (away.number("{sessions}"), away.number("{message_logs}")) == (19, 20)
    assert away.number("{users}") == 20
    away.pass_time(3 * 24, step=6)
    twin.pass_time(70 + 3 * 24, step=6)
    assert away.held == twin.held == {}
    (states,) = [[state for _, state, _ in alerts] for alerts in away.alerts.values()]
    assert (states[0], states[-1], {*states[1:-1]}) == ("new", "over", {"still"})
    assert twin.alerts == {}
    assert (away.number("{sessions}"), away.number("{message_logs}")) == (0, 0)
    assert away.picture("notifications") == twin.picture("notifications")
    assert away.sent_twice() == []


@pytest.mark.parametrize("owners", [3, 300, pytest.param(3_000, marks=pytest.mark.slow)])
def test_a_day_of_honest_work_of_a_service_of_any_size(bench, owners):     # R79
    service = Service(bench, *ALL, owners=owners)
    some, few = 1 + owners // 50, 1 + owners // 200
    lost = some // 6                    # forwards whose alias is gone: less than a fifth
    service.answer = lambda _: Response(ANSWERED, 500)
    for number in range(1, some + 1):
        service.event(number)
        bench.dns.pop((f"d{number}.test", "TXT"))
        service.forward(number, alias_id=number if number > lost else 10 ** 6)
    sql(f"UPDATE aliases SET expires_at = '2026-11-24 12:00:00' WHERE id <= {some}",
        f"UPDATE webhooks SET failing_since = '2026-11-21 12:00:00' WHERE id <= {some}",
        f"UPDATE destinations SET verified_at = NULL WHERE id <= {some}",
        f"UPDATE users SET log_retention_days = 7 WHERE id <= {some}",
        f"DELETE FROM message_logs WHERE id > {owners - some}",
        "UPDATE users SET status = 'deleted', deleted_at = '2026-11-24 15:00:00' "
        f"WHERE id > {owners - few}")(service)
    service.pass_time(24)
    assert service.held == service.alerts == {}
    for done, number in {
            "{aliases} WHERE active = 0": some + few, "{failed_emails} WHERE status = 'sent'":
            some - lost, "{destinations} WHERE removal_notified_at IS NOT NULL": some,
            "{domains} WHERE warned_at IS NOT NULL": some,
            "{users} WHERE id NOT IN (SELECT user_id FROM {message_logs})": 2 * some,
            "{notifications} WHERE kind = 'webhook_failing'": some}.items():
        assert service.number(done) == number, done
