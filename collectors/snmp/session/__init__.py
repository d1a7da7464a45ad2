"""Messages, security and sessions: how one SNMP agent is asked."""
