"""Brings devices and sites from elsewhere into lines of the estate: CSV files, NetBox,
LibreNMS. The estate itself is never written: what is new is text to put behind it."""
