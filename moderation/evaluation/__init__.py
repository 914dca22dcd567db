"""How good detectors are: labelled sets, what is measured on them, and calibration from them."""
