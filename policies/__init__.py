"""Versioned rule bundles and their evaluation: findings and coverage in, a traced decision out.

Imports nothing else of firstplay and does no I/O but reading bundle files.
"""
