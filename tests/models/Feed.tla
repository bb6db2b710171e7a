-------------------------------- MODULE Feed --------------------------------
(* How a member lives by one feed of the one history: it applies the next number of the feed, whose
   previous head is its own. Updates of other feeds lie between.

   Supernodes apply the same history at their own pace, publish what they have applied at least
   once, and may go over to a new epoch, whose history leaves the old one at some revision. What
   was published may reach the member late, twice, in any order, or never; the answer to a `sync`
   may come late as well. A feed's head stands for all of the feed up to it, and for the history
   that it is part of; so the sequence of the feed's updates, each with its branch, is its head.

   `Slip` plants one mistake, to see that the model finds it. *)
EXTENDS Integers, Sequences

CONSTANTS Supernodes, Last,  \* the last revision of each epoch
          Fork,              \* the last revision that the second epoch has from the first
          Slip

Epochs == 1..2
History == [e \in Epochs |-> [r \in 1..Last |-> IF r <= Fork THEN 1 ELSE e]]

\* The feed that the member lives by has these revisions of each epoch; all others are of another one.
Mine == [e \in Epochs |-> IF e = 1 THEN {1, 3, 5} ELSE {1, 3, 4}]
Others == [e \in Epochs |-> (1..Last) \ Mine[e]]

\* The updates of a feed up to a revision, in order: each with its revision and its branch.
RECURSIVE Line(_, _, _)
Line(feed, e, r) ==
    IF r = 0 THEN <<>>
    ELSE IF r \in feed[e] THEN Append(Line(feed, e, r - 1), <<r, History[e][r]>>)
    ELSE Line(feed, e, r - 1)

UpTo(e, r) == Line(Mine, e, r)

VARIABLES at,         \* at[s] = the epoch and revision of a supernode
          published,  \* published[e] = the highest revision of an epoch that was published
          epoch, chain,  \* the member: its epoch, and every update of the feed that it has applied
          asked,      \* the member's question, and the supernode that it is put to
          answer

vars == <<at, published, epoch, chain, asked, answer>>

Silence == [state |-> "none"]
NotAsked == [state |-> "none"]

Init ==
    /\ at = [s \in Supernodes |-> [epoch |-> 1, revision |-> 0]]
    /\ published = [e \in Epochs |-> 0]
    /\ epoch = 1
    /\ chain = <<>>
    /\ asked = NotAsked
    /\ answer = Silence

\* A supernode applies the next revision and publishes it.
Advance(s) ==
    LET to == at[s].revision + 1 IN
    /\ to <= Last
    /\ at' = [at EXCEPT ![s].revision = to]
    /\ published' = [published EXCEPT ![at[s].epoch] = IF to > @ THEN to ELSE @]
    /\ UNCHANGED <<epoch, chain, asked, answer>>

\* The majority was lost: a survivor begins the second epoch, or another follows it there.
NewEpoch(s) ==
    /\ at[s].epoch = 1
    /\ at[s].revision >= Fork
    /\ at' = [at EXCEPT ![s] = [epoch |-> 2, revision |-> Fork]]
    /\ UNCHANGED <<published, epoch, chain, asked, answer>>

Applies(feed, e, r) ==
    LET number == Len(Line(feed, e, r)) IN
    CASE Slip = "apply anything newer" -> number > Len(chain)
      [] Slip = "head not compared" -> number = Len(chain) + 1
      [] OTHER -> /\ e = epoch  \* an update of a later epoch is a reason to ask
                  /\ number = Len(chain) + 1
                  /\ Line(feed, e, r - 1) = chain

\* An update reaches the member. What it keeps beyond a gap is one that comes later. Its queue may
\* bring updates of other feeds as well, which it ignores.
Receive(e, r) ==
    LET feed == IF r \in Mine[e] THEN Mine ELSE Others IN
    /\ r <= published[e]
    /\ r \in Mine[e] \/ Slip = "another feed taken"
    /\ Applies(feed, e, r)
    /\ epoch' = e
    /\ chain' = Append(chain, <<r, History[e][r]>>)
    /\ UNCHANGED <<at, published, asked, answer>>

\* After a gap, or on moving to another supernode: what comes after this?
Ask(s) ==
    /\ asked' = [state |-> "asked", of |-> s, epoch |-> epoch, chain |-> chain]
    /\ answer' = Silence
    /\ UNCHANGED <<at, published, epoch, chain>>

StateOf(s) ==
    LET own == at[s]
        theirs == UpTo(own.epoch, own.revision)
        number == Len(asked.chain) IN
    CASE own.epoch < asked.epoch -> "lag"
      [] own.epoch > asked.epoch /\ number = 0 -> "snapshot"  \* of no other history
      [] own.epoch > asked.epoch -> "reset"
      [] number > Len(theirs) -> "lag"
      [] asked.chain # SubSeq(theirs, 1, number) -> "reset"
      [] Len(theirs) > number + 1 -> "snapshot"  \* the rows of the feed are gone
      [] OTHER -> "updates"

Answer ==
    /\ asked # NotAsked
    /\ answer' = [state |-> StateOf(asked.of), epoch |-> at[asked.of].epoch,
                  chain |-> UpTo(at[asked.of].epoch, at[asked.of].revision)]
    /\ asked' = NotAsked
    /\ UNCHANGED <<at, published, epoch, chain>>

IsPrefix(a, b) == Len(a) <= Len(b) /\ a = SubSeq(b, 1, Len(a))

\* Updates, or a snapshot; after a reset the member takes a snapshot, in this model at once.
\* The member may have gone on since it asked: an answer that is not ahead of it counts for nothing.
IsAhead(a) ==
    \/ a.epoch > epoch
    \/ a.epoch = epoch /\ Len(a.chain) > Len(chain)

Obeyed(a) ==
    CASE a.state = "lag" -> Slip = "lag rolls back"
      [] a.state = "snapshot" /\ Slip = "old snapshot taken" -> TRUE
      [] a.state = "updates" -> IsAhead(a) /\ IsPrefix(chain, a.chain)
      [] OTHER -> IsAhead(a)

TakeAnswer ==
    /\ answer # Silence
    /\ answer' = Silence
    /\ IF Obeyed(answer)
       THEN epoch' = answer.epoch /\ chain' = answer.chain
       ELSE UNCHANGED <<epoch, chain>>
    /\ UNCHANGED <<at, published, asked>>

Next ==
    \/ \E s \in Supernodes : Advance(s) \/ NewEpoch(s) \/ Ask(s)
    \/ \E e \in Epochs, r \in 1..Last : Receive(e, r)
    \/ Answer
    \/ TakeAnswer

Spec == Init /\ [][Next]_vars

----------------------------------------------------------------------------
IsOfTheOneHistory == IsPrefix(chain, UpTo(epoch, Last))

\* In an epoch the number never falls, and no epoch comes back.
NeverGoesBack == [][epoch' > epoch \/ (epoch' = epoch /\ Len(chain') >= Len(chain))]_vars
=============================================================================
