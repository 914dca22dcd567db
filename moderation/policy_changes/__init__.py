"""How a policy changes: a bundle is a draft, runs as a shadow, becomes live, and is retired.

:mod:`.bundles` keeps their text, :mod:`.redecide` decides stored evidence again, :mod:`.backtest` does so for
every world, :mod:`.shadow` beside every new decision; :mod:`.promotion` lets two people make a bundle live;
:mod:`.quality` and :mod:`.golden` hold its rules against people.
"""
