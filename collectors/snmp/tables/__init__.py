"""Tables of standard MIBs: ports, neighbours, addresses, VLANs, parts, IP SLA tests."""
