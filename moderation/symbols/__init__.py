"""Hateful symbols: their geometry, scenes that their detector learns from, and whole maps to look at."""
