"""Drafts of device profiles, from what a device answers and what its MIBs state."""
