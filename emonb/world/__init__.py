"""A planted world, in which the answer is known: its words, emotions, people, network and files."""
