"""Which worlds the feed shows, and in which order: pure functions over columns of numbers.

``signals`` says how good a session was, ``posterior`` what is known of a world, ``families`` which worlds are
one for the feed, ``rank`` orders them, ``evaluate`` judges another ranking by what the present one showed,
``snapshot`` seals what clients carry back. Nothing here reads a database, a clock or a file.
"""
