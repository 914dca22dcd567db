"""What people decide: their queue, decisions, appeals, statements of reasons, quality and circuit breakers.

``queue`` hands cases out, ``decide`` takes decisions in, ``appeals`` lets another person judge unaware of the
first decision, ``concluding`` turns what the policy says into a state without overriding a person,
``breakers`` stops a rule that rejects too often, ``statements`` and ``audit`` tell what was done, ``quality``
measures how well. Everything that changes does so in one transaction of the store, whose ``consequences``
opens cases and writes statements whoever changes a state; the SQL is in ``moderation.store``.
"""
