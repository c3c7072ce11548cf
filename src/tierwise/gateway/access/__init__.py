"""Who may ask for what, how often, and for how much: keys, rights, limits, budgets."""
