"""The rules of the ``text`` detector, one idea per file.

Folding, disguises, plain words and phrases; slurs, threats, personal data, links, contacts and injections.
"""
