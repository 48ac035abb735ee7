"""Statistics on labelled arrays: one module a claim, on top of RDMs, Kendall's tau and permutation inference."""
