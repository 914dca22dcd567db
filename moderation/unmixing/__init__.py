"""Takes music and noise out of what Whisper hears, and says where a voice is beneath them."""
