"""Finds devices in networks, and says what is found as lines of the estate."""
