"""Dissects frames with scapy, in a process of its own. See LICENSE in this folder."""
