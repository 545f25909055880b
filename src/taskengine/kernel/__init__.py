"""Pure decisions: what should be written down (decide, settle), what follows from it (evolve), what is owed (outstanding)."""
