"""Imports devices and sites from CSV files, NetBox and LibreNMS.

The estate file is never written: new entries are text to append to it.
"""
