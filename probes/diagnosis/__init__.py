"""What the person at the laptop is shown: status, page, what was sent, self-test."""
