"""Who plays first: exploration over a batched world model, recordings, coverage and risk bounds."""
