"""Lives, links and roles by chance; two found faults are patched away. By hand: SEED=0 N=50 pytest <this file>."""

import os
import pytest
from functools import partial
from random import Random
from itertools import permutations
from nm_bus.core.ledger import heads, answers
from nm_bus.storage import retention
from nm_bus.messages import Change
from nm_bus.storage.ledger import LedgerIdentity, Position, create_ledger
from nm_bus.testing.links import Trouble
from .conftest import ADMIN, PROJECT
from .test_broken_life import ask

BASE=int(os.environ.get("SEED","0"))
N=int(os.environ.get("N","20"))

@pytest.mark.parametrize("seed", range(BASE, BASE+N))
def test_fuzz(make_crowd, monkeypatch, seed):
    rnd = Random(seed)
    from nm_agents.supernode.ledger.driver import LedgerDriver
    from nm_agents.supernode.ledger.peers import LedgerPeers
    oldm = LedgerPeers.memory_of
    def mem(self, sender):
        m = oldm(self, sender)
        return m if m is None or m.height >= 0 else None
    monkeypatch.setattr(LedgerPeers, "memory_of", mem)
    oldr = LedgerDriver._recalled
    def rec(self, sender, step):
        if self.identity.nonce == step.echo.nonce: oldr(self, sender, step)
    monkeypatch.setattr(LedgerDriver, "_recalled", rec)
    count = rnd.choice([1,2,3,3,4,5])
    monkeypatch.setattr(retention, "LOG_SLOTS", rnd.choice([1,5,5000]))
    monkeypatch.setattr(heads, "PAST", rnd.choice([1,3,1000]))
    import nm_agents.supernode.ledger.composing as comp
    monkeypatch.setattr(comp, "PAST", heads.PAST)
    bad = rnd.choice([None, Trouble(delay=0.1, jitter=0.7, loss=0.1, duplicates=0.2, reordering=0.3)])
    crowd = make_crowd(count, seed=seed, trouble=bad)
    crowd.awake()
    sites = list(crowd)
    n = 0; adm = 0; inc = 0
    pending_role = {}
    for step in range(rnd.randint(5, 30)):
        alive = [s for s in sites if s.process is not None]
        what = rnd.choice(["put","put","put","kill","start","startall","killall","lose","heal","oneway","wait","role","again","burst"])
        if what in("put","burst") and alive:
            for _ in range(1 if what=="put" else 12):
                n += 1
                rnd.choice(alive).put(n, f"a{rnd.randint(1,4)}")
                if what=="burst": crowd.clock.advance(0.3)
        elif what=="kill" and alive: rnd.choice(alive).kill()
        elif what=="start":
            for s in sites:
                if s.process is None: s.start(); break
        elif what=="startall":
            for s in sites:
                if s.process is None: s.start()
        elif what=="killall":
            for s in sites: s.kill()
            for s in sites:
                if rnd.random()<.7: s.start()
        elif what=="lose":
            k = rnd.randint(1,len(sites)); g=rnd.sample(sites,k); h=[s for s in sites if s not in g]
            crowd.lose(g,h); crowd.lose(h,g)
        elif what=="oneway" and len(sites)>1:
            a,b = rnd.sample(sites,2); crowd.lose([a],[b])
        elif what=="heal": crowd.heal()
        elif what=="role" and alive and count>=4:
            adm+=1
            t=rnd.choice(sites)
            ask(rnd.choice(alive), adm, "admit", f"supernode/{t.node}", {"role": rnd.choice(["standby","voter","voter"])})
        elif what=="again" and count>=4 and inc<1 and alive:
            t=rnd.choice(sites)
            others=[s for s in alive if s is not t]
            if others:
                inc+=1
                t.kill(); print('again', t.node); t.path.unlink()
                for p in t.path.parent.glob(f"*{t.path.name}*"): p.unlink()
                create_ledger(t.path, LedgerIdentity(PROJECT, t.node, f"again{inc}", 0, ""), Position()).close()
                t.start()
                crowd.heal()
                for s in sites:
                    if s.process is None: s.start()
                for role in ("standby","voter"):
                    adm+=1
                    ask(others[0], adm, "admit", f"supernode/{t.node}", {"incarnation": f"again{inc}","role":role})
                    crowd.clock.advance(20)
        print(step, what, [(s.ledger.voter_id, s.ledger.identity.boot, s.ledger.identity.nonce[:4], s.ledger.reason[:30]) for s in sites if s.process], [s.process is not None for s in sites])
        crowd.clock.advance(rnd.choice([0.05,0.3,1,5,20]))
    crowd.heal()
    for s in sites:
        if s.process is None: s.start()
    reasons = [s.ledger.reason for s in sites]
    assert not any(reasons), reasons
    try: crowd.clock.run(crowd.is_settled, 300.0)
    except TimeoutError:
        for s in sites: print(s.ledger.standing(), s.ledger.peers.boots._confirmed, s.ledger.machine.listens, s.ledger.peers.heads.differing)
        raise
    for s in sites:
        n += 1
        s.put(n, s.node)
    crowd.settle(300)
    reasons = [s.ledger.reason for s in sites]
    assert not any(reasons), reasons
    assert not any(s.ledger.peers.checkpoints.forks for s in sites)
    voters = sites[0].ledger.state.voters
    crowd.clock.advance(40)
    print([(s.ledger.standing().state, s.ledger.voter_id, s.ledger.reason) for s in sites], voters)
    assert all(s.ledger.is_awake for s in sites)
    for s in sites:
        before = s.ledger.state.snapshot()
        s.kill(); s.start()
        assert s.ledger.state.snapshot() == before
