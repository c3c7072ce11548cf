"""Time as a value that a test moves."""


class ManualClock:
    def __init__(self, seconds: float = 0) -> None:
        self.wall_ns = 1_790_000_000_000_000_000
        self.mono_ms = 1_000.0
        self.advance(seconds)

    def now_ns(self) -> int:
        return self.wall_ns

    def monotonic_ms(self) -> float:
        return self.mono_ms

    def advance(self, seconds: float) -> None:
        self.wall_ns += int(seconds * 1e9)
        self.mono_ms += seconds * 1e3
