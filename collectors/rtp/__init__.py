"""Telephony as the wire saw it: RTP streams in captures and on a mirrored port."""
