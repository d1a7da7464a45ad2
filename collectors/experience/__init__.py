"""Experience of groups of laptops: figures of at least `groups.least` laptops."""
