"""Forwards that failed: sent again, with the notice to the owner when that is over; SRS and the
loop mark."""
