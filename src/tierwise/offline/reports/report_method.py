"""What a report says of how it comes about, in plain words: the same on every page."""

from __future__ import annotations

METHOD = (
    """A cheaper model answers first. A verifier scores its answer; below a fixed threshold the answer is dropped, and
    the premium model answers instead.""",
    """Where a route has a certificate, the threshold was tested first, on its labelled requests that had been used for
    nothing else; without one nothing is promised. Harm means: a cheap answer was served that was not good enough,
    where the premium's would have been. The threshold was accepted only because so few harmful cases would be unlikely
    if harm were above the limit. The test is exact for any number.""",
    """Since then a random share of the served cheap answers also goes to the premium model, afterwards and unseen by
    the user, and both are compared. A secret decides who is drawn, so nobody can steer it. The e-value is the evidence
    against the certificate: the winnings of somebody who bets against it in a fair game. If the certificate is true, it
    seldom ever reaches the alarm line, however often one looks. If it does, the route serves fewer cheap answers, in
    the end none, until it is certified anew.""",
    """Savings are what the premium model would have cost for all requests, less everything that was paid, audits
    included. A call costs what the provider reported; where that is not known, an upper bound.""",
)
NOT_PROMISED = (
    "Anything about a single answer, or about a kind of requests that is not among the segments.",
    "That the labels are right: quality is what whoever labelled the answers took it to be.",
    "That traffic stays as it was when it was certified. The audit finds more harm, but not at once.",
    "A saving. It was measured, and depends on prices and on what is asked.",
)
FEEDBACK = (
    "Feedback is not used in the guarantee: who gives it is no random sample of the requests, and has not seen the "
    "premium's answer."
)
REFERENCES = (
    ("Certificate", "Learn then Test, Angelopoulos et al., arXiv 2110.01052; graded labels, Bates et al., 2101.02703"),
    ("Audit", "Ville's inequality; Waudby-Smith and Ramdas, arXiv 2010.09686; e-detectors, Shin et al., 2203.03532"),
    ("Intervals", "confidence sequences, Howard et al., arXiv 1810.08240; Horvitz and Thompson (1952)"),
    ("Judge or system", "arXiv 2606.15474; people as anchors, Angelopoulos et al., arXiv 2301.09633"),
)  # fmt: skip
