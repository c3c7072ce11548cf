"""Screens: what a text is about that a rule or the law cares for. Pure, local, without a call to any model."""
