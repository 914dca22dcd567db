"""What the outside sees: the command line, the feed of cleared worlds and live play."""
