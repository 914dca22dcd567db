"""Labelled sets made by script, on which detectors are measured."""
