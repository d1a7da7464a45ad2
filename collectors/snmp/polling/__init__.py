"""Polls devices: when, with which credential, what is requested, and the rows of it."""
