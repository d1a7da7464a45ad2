"""The commands below `towpath`, by noun. Each body belongs to the room that does it;
here it only gets its words from the command line and gives back an exit code."""
