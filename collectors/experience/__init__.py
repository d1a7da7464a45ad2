"""What groups of at least `groups.least` laptops experience."""
