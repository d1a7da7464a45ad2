"""What the measurements mean for the person at the laptop: verdict, page, self-test."""
