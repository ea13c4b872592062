"""What was purged and what is still logged, added up, as a FROM (docs/usage.md): the same before
and after any purge."""
from __future__ import annotations


def added_up(db) -> str:
    """A FROM with the columns of message_stats. Only a connection of the product knows the day of
    a time that is none."""
    day = db.dialect.day("created_at") if hasattr(db, "dialect") else "SUBSTR(created_at, 1, 10)"
    return f"""(
SELECT user_id, alias_id, day, direction, status, SUM(email_count) AS email_count,
       SUM(bytes_used) AS bytes_used FROM (
  SELECT user_id, CASE WHEN alias_id = '' THEN 0 ELSE alias_id END AS alias_id, day, direction,
         status, email_count, bytes_used FROM {{message_stats}}
  UNION ALL
  SELECT user_id, COALESCE(alias_id, 0), {day}, direction, status, 1,
         CASE WHEN bytes_used BETWEEN 0 AND 1099511627776 AND bytes_used = ROUND(bytes_used)
              THEN bytes_used ELSE 0 END FROM {{message_logs}}
) AS parts GROUP BY user_id, alias_id, day, direction, status) AS totals"""
