"""Does the ranking find what people like, fairly? Simulated users with tastes that no ranking sees.

    OMP_NUM_THREADS=1 python -m benchmarks.feed --seeds 20 --json feed.json

Creators of unequal skill publish worlds of unequal quality, some from the start and some while it runs. Users
like a world by its quality and by how it fits their taste; they look down a page, lose interest on the way,
and play what attracts them. What they then do in a world is drawn as a whole session (seconds, places, first
input, mechanics), and all that a ranking is told is that session: whether it was a good one is hidden.

``ours`` is the ranking of the feed, from sessions to pages, as it is served. ``popular`` shows what has been
played most often, ``uniform`` anything. Regret is the number of good sessions that a ranking missed, in
expectation over users, against the worlds that are best on average. Differences are paired by seed, with
bootstrap intervals of 95 % over seeds.

Attacks, each beside the same market without it: ``remixes`` has a creator publish 100 near-identical remixes
of one world of theirs, ``copies`` the same of somebody else's best world, and ``bots`` lets 20 bots play a
creator's world all the time, by links and as bots; ``farm`` gives those bots addresses of their own and lets
them play it whenever the feed shows it, like people. What an attack gains is told in shares of what is seen;
one creator's fair share is 1 by the number of creators.
"""
