"""What a prompt says: a lexicon for plain words, colours, and a text encoder with heads for the rest."""
