"""Ingest outside: a DMZ node takes laptops' reports in a DMZ and holds no secret of
the council's. The inside publishes to it what it needs, answers its enrolments, and
pulls its reports, all over a nats-server beside the node."""
