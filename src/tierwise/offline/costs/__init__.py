"""What was spent, saved, and would have been: reports, exports and plans about money."""
