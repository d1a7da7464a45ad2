"""Conversations with SNMP agents: messages, security, sessions, walks."""
