"""How much of what is planted in worlds nobody knows do the bots reach, and how soon?

    python -m benchmarks.exploration [--model neural] [--worlds 60] [--seeds 5] [--steps 200000] [--json FILE]

Each strategy gets the same number of steps on each world of a fixed set: 30 with one planted thing, which an
oracle's replay shows to be reachable in the model that plays, and 30 clean ones. *Reached* means that the
planted thing was on the screen under its condition, or that what sets it off has happened.
"""
