"""The probes: call path, path, bandwidth, VPN, Wi-Fi, web, DNS and the laptop."""
