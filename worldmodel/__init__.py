"""What a playable world is, and how it plays.

The layer below everything else: world packages and their checks, the compiler from a package to
tensors, the ground-truth simulator, the neural world model, their training and evaluation. It knows
no database, no settings and no web.
"""
