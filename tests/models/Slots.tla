------------------------------- MODULE Slots -------------------------------
(* How supernodes agree: one batch a slot, sequential single-decree Paxos.

   Round 0 of a slot belongs to the author of the value that was decided before; the voters of a
   slot follow from the values decided before it, and a value may change them. Messages are a set
   that only grows: each may come late, twice, in any order, or never. A crash loses the proposal;
   votes and log are on disk before anything is said, so stopping in between is a message that
   nobody takes.

   `Slip` plants one mistake, to see that the model finds it. *)
EXTENDS Integers, Sequences, FiniteSets

CONSTANTS Nodes,   \* numbers, which break ties between ballots
          Proposers,  \* the nodes that propose, others only vote: for a smaller model
          First,   \* the author of what was before slot 1
          Start,   \* the voters of slot 1
          Later,   \* the voters after a value that changes them
          Slots,   \* how many slots there are
          Rounds,      \* the highest round of every slot
          LastRounds,  \* and that of the last one
          Slip

VARIABLES vote,      \* on disk: vote[n][slot] = what was promised and accepted
          log,       \* on disk: log[n] = the decided values
          proposal,  \* in memory: proposal[n] = the attempt for the next slot
          said       \* every message ever

vars == <<vote, log, proposal, said>>

Never == <<-1, 0>>
Nothing == [author |-> 0, change |-> FALSE]
NoVote == [promised |-> Never, accepted |-> Never, value |-> Nothing]
Idle == [ballot |-> Never, value |-> Nothing]

Below(b, c) == b[1] < c[1] \/ (b[1] = c[1] /\ b[2] < c[2])

NextSlot(n) == Len(log[n]) + 1
Author(l) == IF l = <<>> THEN First ELSE l[Len(l)].author
Voters(l) == IF \E i \in 1..Len(l) : l[i].change THEN Later ELSE Start
Before(l) == IF l = <<>> THEN l ELSE SubSeq(l, 1, Len(l) - 1)

\* Were all late alike, it would be another protocol, and a right one: here only the author is.
Electorate(n) ==
    IF Slip = "voters a slot late" /\ Author(log[n]) = n
    THEN Voters(Before(log[n])) ELSE Voters(log[n])

IsMajority(q, v) == 2 * Cardinality(q) > Cardinality(v)
Suffices(q, v) ==
    IF Slip = "majority minus one" THEN IsMajority(q, v) \/ 2 * (Cardinality(q) + 1) > Cardinality(v)
                                   ELSE IsMajority(q, v)

\* A change of voters in the last slot would have no effect, and is left out of the larger models.
Batches(n) ==
    LET may_change == IF Slots > 1 /\ NextSlot(n) = Slots THEN {FALSE} ELSE BOOLEAN IN
    {[author |-> n, change |-> c] : c \in may_change}

Mine(n, slot, vt) == vote' = [vote EXCEPT ![n][slot] = vt]
Say(messages) == said' = said \cup messages

Init ==
    /\ vote = [n \in Nodes |-> [s \in 1..Slots |-> NoVote]]
    /\ log = [n \in Nodes |-> <<>>]
    /\ proposal = [n \in Nodes |-> Idle]
    /\ said = {}

\* A proposal may be lost in a crash, or given up, at any moment: a new one takes its place.
MayPropose(n) ==
    /\ n \in Proposers
    /\ NextSlot(n) <= Slots
    /\ n \in Electorate(n)

MayUseRound0(n) ==
    LET own == vote[n][NextSlot(n)].promised IN
    /\ Author(log[n]) = n \/ Slip = "anyone uses round 0"
    /\ own = Never \/ (Slip = "round 0 again after a restart" /\ own = <<0, n>>)

VoteFor(n, ballot, value) ==
    LET s == NextSlot(n) IN
    /\ Mine(n, s, [promised |-> ballot, accepted |-> ballot, value |-> value])
    /\ proposal' = [proposal EXCEPT ![n] = [ballot |-> ballot, value |-> value]]
    /\ Say({[step |-> "accept", slot |-> s, ballot |-> ballot, value |-> value],
            [step |-> "accepted", slot |-> s, ballot |-> ballot, from |-> n]})
    /\ UNCHANGED log

Round0(n) ==
    /\ MayPropose(n)
    /\ MayUseRound0(n)
    /\ \E value \in Batches(n) : VoteFor(n, <<0, n>>, value)

PromiseOf(n, slot, ballot, vt) ==
    [step |-> "promise", slot |-> slot, ballot |-> ballot, from |-> n,
     accepted |-> vt.accepted, value |-> vt.value]

Prepare(n) ==
    LET s == NextSlot(n) IN
    /\ MayPropose(n)
    /\ \E round \in 1..(IF s = Slots THEN LastRounds ELSE Rounds) :
        LET own == vote[n][s]
            ballot == <<round, n>> IN
        /\ round > own.promised[1]
        /\ Mine(n, s, [own EXCEPT !.promised = ballot])
        /\ proposal' = [proposal EXCEPT ![n] = [ballot |-> ballot, value |-> Nothing]]
        /\ Say({[step |-> "prepare", slot |-> s, ballot |-> ballot], PromiseOf(n, s, ballot, own)})
    /\ UNCHANGED log

Promise(n, m) ==
    LET own == vote[n][m.slot] IN
    /\ m.step = "prepare"
    /\ m.slot >= NextSlot(n)
    /\ ~Below(m.ballot, own.promised)
    /\ Mine(n, m.slot, IF Slip = "promise not kept" THEN own ELSE [own EXCEPT !.promised = m.ballot])
    /\ Say({PromiseOf(n, m.slot, m.ballot, own)})
    /\ UNCHANGED <<log, proposal>>

Highest(promises) == CHOOSE p \in promises : \A q \in promises : ~Below(p.accepted, q.accepted)
Lowest(promises) == CHOOSE p \in promises : \A q \in promises : ~Below(q.accepted, p.accepted)

\* What a proposer may put to the vote after these promises.
Free(n, promises) ==
    LET bound == {p \in promises : p.accepted # Never} IN
    CASE bound = {} \/ Slip = "accepted value ignored" -> Batches(n)
      [] Slip = "lowest accepted value" -> {Lowest(bound).value}
      [] OTHER -> {Highest(bound).value}

Choose(n) ==
    LET s == NextSlot(n)
        own == proposal[n]
        heard == {m \in said : /\ m.step = "promise" /\ m.slot = s /\ m.ballot = own.ballot
                               /\ m.from \in Electorate(n)} IN
    /\ own # Idle
    /\ own.value = Nothing
    /\ ~Below(own.ballot, vote[n][s].promised)
    /\ \E promises \in SUBSET heard :
        LET senders == {p.from : p \in promises} IN
        /\ Cardinality(senders) = Cardinality(promises)
        /\ Suffices(senders, Electorate(n))
        /\ \E value \in Free(n, promises) : VoteFor(n, own.ballot, value)

Accept(n, m) ==
    /\ m.step = "accept"
    /\ m.slot >= NextSlot(n)
    /\ ~Below(m.ballot, vote[n][m.slot].promised) \/ Slip = "accept without a look at the promise"
    /\ Mine(n, m.slot, [promised |-> m.ballot, accepted |-> m.ballot, value |-> m.value])
    /\ Say({[step |-> "accepted", slot |-> m.slot, ballot |-> m.ballot, from |-> n]})
    /\ UNCHANGED <<log, proposal>>

Take(n, value) ==
    /\ log' = [log EXCEPT ![n] = Append(@, value)]
    /\ proposal' = [proposal EXCEPT ![n] = Idle]
    /\ Mine(n, NextSlot(n), NoVote)

Accepters(slot, ballot) ==
    {m.from : m \in {m \in said : m.step = "accepted" /\ m.slot = slot /\ m.ballot = ballot}}

Decide(n) ==
    LET s == NextSlot(n)
        own == proposal[n] IN
    /\ own.value # Nothing
    /\ Suffices(Accepters(s, own.ballot) \cap Electorate(n), Electorate(n))
    /\ Take(n, own.value)
    /\ Say({[step |-> "decided", slot |-> s, ballot |-> own.ballot, value |-> own.value]})

\* A decision comes with its value, or names only the ballot to who accepted there.
Learn(n, m) ==
    LET own == vote[n][m.slot] IN
    /\ m.step = "decided"
    /\ m.slot = NextSlot(n)
    /\ Take(n, m.value) \/ (own.accepted = m.ballot /\ Take(n, own.value))
    /\ UNCHANGED said

Next == \E n \in Nodes :
    \/ Round0(n) \/ Prepare(n) \/ Choose(n) \/ Decide(n)
    \/ \E m \in said : Promise(n, m) \/ Accept(n, m) \/ Learn(n, m)

Spec == Init /\ [][Next]_vars

----------------------------------------------------------------------------
\* Nobody ever decides a slot otherwise than another.
Agreement ==
    \A n, m \in Nodes : \A s \in 1..Slots :
        s <= Len(log[n]) /\ s <= Len(log[m]) => log[n][s] = log[m][s]

OneValueForABallot ==
    \A a, b \in {m \in said : m.step = "accept"} :
        a.slot = b.slot /\ a.ballot = b.ballot => a.value = b.value

\* What is decided was accepted, at one ballot, by a majority of the voters of its slot.
DecidedByAMajority ==
    \A d \in {m \in said : m.step = "decided"} : \A n \in Nodes :
        Len(log[n]) >= d.slot =>
            LET voters == Voters(SubSeq(log[n], 1, d.slot - 1)) IN
            IsMajority(Accepters(d.slot, d.ballot) \cap voters, voters)
=============================================================================
