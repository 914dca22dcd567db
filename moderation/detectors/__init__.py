"""Detectors: small classes that look at pictures, motion, sound or text and report what they saw."""
