#!/bin/sh
# Install in /Applications as "Is it me?.command": a double click opens the page.
# Not yet run on a real Mac.
exec /opt/towpath-agent/bin/towpath-agent is-it-me
