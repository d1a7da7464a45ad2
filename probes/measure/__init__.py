"""What the agent measures: call path, bandwidth, VPN, Wi-Fi, web, names, the laptop."""
