"""Work on recorded answers: import, replay, training. No gateway, no calls to models."""
