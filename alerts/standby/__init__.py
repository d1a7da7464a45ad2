"""Two machines with the role `alert`: one evaluates, the other stands by.

- `standby_config`: the settings
- `alert_replica`: the file as the sum of a log that all machines read in one order, by
  the rows of `alerts.replicated_rows`
- `alert_stream`: that log as a stream of NATS
- `shared_acknowledgements`: who handles which alert, from the pages of all machines
- `standby_machine`: the lease, and who follows or takes over
"""
