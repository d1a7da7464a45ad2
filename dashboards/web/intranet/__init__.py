"""What staff read on the intranet: a few sentences about what works and what does not.

`staff_notices` makes them from alerts and planned work, and `notice_feeds` writes them
as RSS and Atom. All forms show the same notices, which `notice_source` reads.
"""
