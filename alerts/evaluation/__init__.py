"""Whether a rule's conditions hold, and what state its alerts are in."""
