"""iCalendar (RFC 5545): feeds, the times of their events, and who may read them."""
