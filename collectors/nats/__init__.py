"""NATS: the one connection of a process, and its settings. A process that uses files
only does not import the client library."""
