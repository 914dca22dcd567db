"""The rules of the ``text`` detector, one idea per file: folding, slurs, threats, personal data, links."""
