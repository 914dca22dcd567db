"""Threats of any wording, told from game talk by a small language model that was fine-tuned for it."""
