"""A small world for budgets: some processes, one database, windows of one budget; whatever may go wrong, does.

Every step is one of the pure functions, as the store calls them, with what they were given kept beside it by hand.
`check` says what has to hold after each step.
"""

from dataclasses import dataclass, field

from tierwise.core.budget import Account, Leased, Share, Want, correct, draw, give_back, post
from tierwise.core.lease import NOTHING, Lease, at_least, at_most
from tierwise.core.window import DAY_NS, account
from tierwise.errors import BudgetExceeded
from tierwise.money import Amount, Budget

LIMIT = Amount(1_000, 600)
BUDGET = Budget("key", "k", "day", LIMIT.nanos, LIMIT.tokens, soft=800_000)
SOFT = Amount(800, 480)


@dataclass(eq=False)
class Running:
    name: str
    amount: Amount
    known: bool = False  # its reservation is in the database


@dataclass
class Process:
    leases: dict[str, Lease] = field(default_factory=dict)
    running: list[Running] = field(default_factory=list)
    queue: list[tuple[Running, Amount]] = field(default_factory=list)  # ends on their way to the database
    settled: list[Running] = field(default_factory=list)  # by others, who took it for dead
    is_lost: bool = False  # others took it for dead, and it has not heard of that
    was_lost: bool = False

    def lease(self, name: str) -> Lease:
        return self.leases.get(name, Lease())


class World:
    def __init__(self, processes: int = 2) -> None:
        self.now_ns = 0
        self.refused = 0
        self.accounts: dict[str, Account] = {}
        self.leased: dict[tuple[int, str], Amount] = {}
        self.processes = [Process() for _ in range(processes)]
        self.true: dict[str, Amount] = {}  # what was spent for sure, and bounds of what nobody knows the end of
        self.slack: dict[str, Amount] = {}  # by how much bills passed their bounds, or nothing was set aside for them

    # -------------------------------------------------------------- the steps

    def reserve(self, who: int, amount: Amount, soft: bool = False) -> bool:
        self._hear(who)
        process, name = self.processes[who], account(BUDGET, self.now_ns)
        lease = process.lease(name)
        lacks = lease.lacks(amount, soft)
        if lacks != NOTHING:
            want = Want(BUDGET, self.now_ns, lacks, lease.most(lacks), soft, amount)
            try:
                lease = self._draw(who, name, lease, want)
            except BudgetExceeded:
                return False
        assert lease.lacks(amount, soft) == NOTHING
        process.leases[name] = lease.hold(amount)
        process.running.append(Running(name, amount))
        return True

    def end(self, who: int, at: int, spent: Amount) -> None:
        process = self.processes[who]
        running = process.running.pop(at)
        process.leases[running.name] = process.leases[running.name].settle(running.amount, spent)
        process.queue.append((running, spent))
        self._allow(running.name, at_least(spent - running.amount, NOTHING))

    def flush(self, who: int, most: int = 1_000) -> None:
        """The database hears of reservations, and of the oldest ends."""
        process = self.processes[who]
        for _ in range(min(most, len(process.queue))):
            running, spent = process.queue.pop(0)
            self._post(who, running, spent)
        if not process.queue:
            for running in process.running:
                running.known = True

    def beat(self, who: int) -> None:
        self._hear(who)
        process = self.processes[who]
        for name, before in process.leases.items():
            lease, share = before.beat(), self._share(who, name)  # nobody knows the account before something is drawn
            part = lease.idle(wanted=bool(share.account.wanted_ns))
            process.leases[name] = lease.give_back(part)
            self._put(who, name, give_back(share, part))

    def crash(self, who: int) -> None:
        """Its journal is replayed, what has no end there is settled at its bound, and its leases expire."""
        process = self.processes[who]
        self.flush(who)
        for running in process.running:
            self._settle(who, running)
        self._expire(who)
        self.processes[who] = Process()

    def lose(self, who: int) -> None:
        """Others take it for dead, and it lives. It uses no lease any more before it has heard of that."""
        process = self.processes[who]
        for running in process.running:
            if running.known:
                self._settle(who, running)
                process.settled.append(running)
            else:
                self._allow(running.name, running.amount)
        for running, spent in process.queue:
            self._allow(running.name, spent)
        self._expire(who)
        process.is_lost = True

    def _hear(self, who: int) -> None:
        """What ended before is written before anything is drawn again."""
        process = self.processes[who]
        if process.is_lost:
            self.flush(who)
            process.leases = {name: lease.lost() for name, lease in process.leases.items()}
            process.is_lost, process.was_lost = False, True

    def jump(self, days: int) -> None:
        self.now_ns = days * DAY_NS + 5

    def correct(self, name: str, more: Amount) -> None:
        self._correct(name, more)
        self._allow(name, at_least(more, NOTHING))

    def finish(self) -> None:
        """All ends, in some way; nothing is held after that."""
        for who, process in enumerate(self.processes):
            while process.running:
                self.end(who, 0, at_most(process.running[0].amount, Amount(3, 3)))
            self.crash(who)
        self.check()
        assert all(kept.held == NOTHING for kept in self.accounts.values())

    # -------------------------------------------------------------- what holds

    def check(self) -> None:
        for name, kept in self.accounts.items():
            leases = [self.leased.get((who, name), NOTHING) for who in range(len(self.processes))]
            assert kept.held == sum(leases, NOTHING)
            assert all(lease == at_least(lease, NOTHING) for lease in [kept.posted, kept.held, *leases])
            assert kept.posted == self.true.get(name, NOTHING)
            assert _fits(kept.posted + kept.held, self._limit(name))
            exposed = kept.posted
            for who, process in enumerate(self.processes):
                exposed += self._check(who, name, process)
            assert _fits(exposed, self._limit(name))

    def _check(self, who: int, name: str, process: Process) -> Amount:
        """What it may yet cost."""
        lease, ours = process.lease(name), self.leased.get((who, name), NOTHING)
        waiting = [(each, spent) for each, spent in process.queue if each.name == name]
        on_its_way = sum((at_most(spent, each.amount) for each, spent in waiting), NOTHING)
        assert lease.held == sum((each.amount for each in process.running if each.name == name), NOTHING)
        if process.is_lost:
            assert ours == NOTHING
        elif process.was_lost:
            assert _fits(lease.drawn + on_its_way, ours)
        else:
            assert lease.drawn + on_its_way == ours
            assert _fits(NOTHING, lease.free)
        open_ = [each.amount for each in process.running if each.name == name and each not in process.settled]
        late = [spent for each, spent in waiting if each not in process.settled]
        return sum((*open_, *late), NOTHING)

    # -------------------------------------------------------------- the database

    def _draw(self, who: int, name: str, lease: Lease, want: Want) -> Lease:
        share = self._share(who, name)
        used = share.account.posted + share.account.held
        try:
            after, grant = draw(share, want)
        except BudgetExceeded as error:
            self._refused(name, share, want, isinstance(error, Leased))
            raise
        for given, before, most in zip(_pair(grant.amount), _pair(used), _pair(LIMIT), strict=True):
            assert not given or before + given <= most
        assert _fits(want.least, grant.amount)
        assert _fits(grant.amount, want.least if share.account.wanted_ns else want.most)
        assert not after.account.wanted_ns or grant.amount == NOTHING
        self._put(who, name, after)
        return lease.draw(grant)

    def _refused(self, name: str, share: Share, want: Want, is_leased: bool) -> None:
        """Only for good reasons; and only what others lease can be asked back."""
        self.refused += 1
        posted, held = share.account.posted, share.account.held
        needs = (_pair(posted + held + want.least), _pair(posted + share.lease + want.least))
        both = zip(_pair(want.least), *needs, _pair(SOFT if want.soft else LIMIT), strict=True)
        short = [(alone, most) for least, whole, alone, most in both if least and whole > most]
        assert short
        assert is_leased == all(alone <= most for alone, most in short)
        if is_leased:
            self.accounts[name] = Account(posted, held, self.now_ns or 1)

    def _post(self, who: int, running: Running, spent: Amount) -> None:
        process = self.processes[who]
        name = running.name
        if running in process.settled:  # too late: what it was booked with is put right
            process.settled.remove(running)
            self._correct(name, spent - running.amount)
        else:
            self._put(who, name, post(self._share(who, name), running.amount, spent))
            self._spend(name, spent)

    def _correct(self, name: str, more: Amount) -> None:
        """A correction may take off more than was ever posted."""
        before = self.accounts.get(name, Account())
        self.accounts[name] = correct(before, more)
        self.true[name] = at_least(self.true.get(name, NOTHING) + more, NOTHING)
        assert self.accounts[name].held == before.held

    def _settle(self, who: int, running: Running) -> None:
        if running not in self.processes[who].settled:
            self._put(who, running.name, post(self._share(who, running.name), running.amount, running.amount))
            self._spend(running.name, running.amount)

    def _expire(self, who: int) -> None:
        for name in self.accounts:
            share = self._share(who, name)
            self._put(who, name, give_back(share, share.lease))

    def _share(self, who: int, name: str) -> Share:
        return Share(self.accounts.get(name, Account()), self.leased.get((who, name), NOTHING))

    def _put(self, who: int, name: str, share: Share) -> None:
        self.accounts[name], self.leased[who, name] = share

    def _spend(self, name: str, amount: Amount) -> None:
        self.true[name] = self.true.get(name, NOTHING) + amount

    def _allow(self, name: str, amount: Amount) -> None:
        self.slack[name] = self.slack.get(name, NOTHING) + amount

    def _limit(self, name: str) -> Amount:
        return LIMIT + self.slack.get(name, NOTHING)


def _fits(amount: Amount, limit: Amount) -> bool:
    return amount.nanos <= limit.nanos and amount.tokens <= limit.tokens


def _pair(amount: Amount) -> tuple[int, int]:
    return amount.nanos, amount.tokens
