"""The contract between agents and the server: reports, samples, the catalogue of
measurements, the policy, test packets, and the rules that both apply to them.

The server imports nothing else of `probes` (`make check` proves it).
"""
