"""For Prometheus: the rows that rules evaluate as metrics, and the rules as its own."""
