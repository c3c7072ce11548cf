"""What a route's screens do on live requests: moderation, privacy, risk, people who answer."""
