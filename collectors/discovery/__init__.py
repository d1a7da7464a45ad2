"""Finds devices in networks and writes estate entries for them."""
