"""Live events: when which room must work, and whether what it needs is well."""
