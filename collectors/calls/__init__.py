"""Microsoft's own record of calls in Teams, in groups: no person, name or address."""
