"""Our own small OpenCLIP model for drawn, game-like pictures: its data, training and evaluation.

Icon sets from npm are fetched for training and evaluation only (:mod:`moderation.drawings.families`); nobody
needs them to scan. Each drawing is put into pictures of worlds (:mod:`moderation.drawings.compose`), and
learns to lie near the phrases that name it (:mod:`moderation.drawings.train`). What came out is measured on
families, concepts and worlds that training never saw (:mod:`moderation.drawings.evaluate`), and the card
that this writes is what :mod:`moderation.detectors.zero_shot` knows of its own limits.
"""
