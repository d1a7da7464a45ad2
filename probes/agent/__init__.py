"""The agent: its schedule, its spool, its place, and its reports."""
