"""Several pollers share one estate: each device is polled by one of them.

- `bounded_assignment`: which poller gets which device
- `poller_roster`: which pollers run, what this one holds, and until when
- `estate_share`: what the poller asks, and the answer of a poller that is alone
- `nats_share`: the same over a NATS key-value bucket
- `share_thread`: that in a thread, so that a busy poller keeps its lease
- `poller_presence`: which pollers run, so that two that do not share are reported
- `learnt_bucket`: what was learnt of devices, handed on between pollers
"""
