using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>All suspects of this node, and the way from suspicion to verdict.</summary>
internal sealed class Suspicions(
    Turn turn, MemberTable members, Roster roster, Disseminator rumors, Outbox outbox, OutboundStreams streams, ContactGate gate)
{
    private static readonly TimeSpan FlapWindow = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan SecondHandMin = TimeSpan.FromSeconds(1);
    private readonly SortedDictionary<NodeId, Suspicion> _open = [];

    public TimeSpan NextEvent
    {
        get
        {
            TimeSpan next = TimeSpan.MaxValue;
            if (_open.Count == 0)
            {
                return next;
            }

            foreach (Suspicion suspicion in _open.Values)
            {
                next = Turn.Sooner(next, suspicion.NextEvent);
            }

            return next;
        }
    }

    /// <summary>Our own probe of the member has failed; these helpers could not reach it either.</summary>
    /// <param name="silentSince">When the member ought to have answered the last of our own pings.</param>
    public void Raise(Member member, IEnumerable<NodeId> helpers, TimeSpan silentSince)
    {
        var accusation = new Accusation(members.Self.Id, [.. helpers.Take(Accusation.MaxWitnesses)]);
        if (member.Status == MemberStatus.Alive)
        {
            roster.Declare(member, MemberStatus.Suspect, accusation);
            if (_open.TryGetValue(member.Id, out Suspicion? raised))
            {
                raised.BeginAt(silentSince);
            }
        }
        else
        {
            Confirm(member.Id, accusation);
        }

        if (_open.TryGetValue(member.Id, out Suspicion? suspicion) && !suspicion.IsFirstHand)
        {
            suspicion.IsFirstHand = true;
            Warn(suspicion);
        }
    }

    /// <summary>The member table has taken a new statement about the member.</summary>
    public void OnChanged(Member? before, Member after, Accusation? accusation)
    {
        _open.Remove(after.Id);
        if (after.Status == MemberStatus.Suspect)
        {
            TimeSpan secondHand = SecondHandMin * (1 + turn.Random.NextDouble());
            _open[after.Id] = new Suspicion(
                after, accusation ?? Accusation.By(members.Self.Id), turn.Now, Floor(after.Id), turn.Options.SuspicionMaxFactor, members.ActiveCount, secondHand);
        }
        else if (before?.Status == MemberStatus.Dead && after.Status == MemberStatus.Alive)
        {
            CountFlap(after.Id);
        }
    }

    public void Remove(NodeId subject) => _open.Remove(subject);

    /// <summary>Somebody else could not reach a suspect either. What is new is passed on: all timers may then fall.</summary>
    public void Confirm(NodeId subject, Accusation accusation)
    {
        if (_open.TryGetValue(subject, out Suspicion? suspicion) && suspicion.Confirm(accusation))
        {
            rumors.TellMember(subject, accusation.Accuser, suspicion.Accusation);
        }
    }

    /// <summary>The subject acknowledged one of our pings, so it lives; that everybody hears of it is left to its refutation.</summary>
    public void OnAnswered(ulong sequence, NodeId from)
    {
        if (_open.TryGetValue(from, out Suspicion? suspicion)
            && (suspicion.Final?.Sequence == sequence || suspicion.WarningSequence == sequence))
        {
            suspicion.Restart(turn.Now);
        }
    }

    public void OnStall(TimeSpan late)
    {
        foreach (Suspicion suspicion in _open.Values)
        {
            suspicion.Extend(late);
            suspicion.Final = null;
        }
    }

    public void Run()
    {
        if (_open.Count == 0 || NextEvent > turn.Now)
        {
            return;
        }

        foreach (Suspicion suspicion in _open.Values.Where(s => s.NextEvent <= turn.Now).ToList())
        {
            Advance(suspicion);
        }
    }

    private void Advance(Suspicion suspicion)
    {
        if (suspicion.Final is { } final)
        {
            if (final.PingsSent < Suspicion.FinalPings)
            {
                suspicion.Final = final with { PingsSent = final.PingsSent + 1 };
                outbox.Ping(suspicion.Subject.Id, final.Sequence);
            }
            else if (gate.MayBury(suspicion.Subject.Id, turn.Options.SuspicionMin))
            {
                roster.Declare(suspicion.Subject, MemberStatus.Dead, suspicion.Accusation with { Accuser = members.Self.Id });
            }
            else
            {
                suspicion.Postpone(turn.Now + turn.Options.ProbePeriod);
            }
        }
        else if (suspicion.IsDue(turn.Now))
        {
            StartFinal(suspicion);
        }
        else
        {
            Warn(suspicion);
        }
    }

    /// <summary>
    /// Tells the suspect what is said of it, again and again as long as this node accuses it: a suspicion that is lost on
    /// its way would otherwise end as a death.
    /// </summary>
    private void Warn(Suspicion suspicion)
    {
        suspicion.WarningSequence = turn.NextSequence();
        suspicion.WarningDue = turn.Now + turn.Options.ProbePeriod;
        outbox.Ping(suspicion.Subject.Id, suspicion.WarningSequence);
        gate.Refresh(suspicion.Subject.Id, outbox);
    }

    private void StartFinal(Suspicion suspicion)
    {
        NodeId subject = suspicion.Subject.Id;
        suspicion.Final = new FinalProbe(turn.NextSequence(), turn.Now, 1);
        outbox.Ping(subject, suspicion.Final.Sequence);
        streams.OpenProbe(subject, Frames.Ping(suspicion.Final.Sequence, subject, outbox.DigestFor(subject)));
        gate.Refresh(subject, outbox);
    }

    /// <summary>Least time from suspicion to death: one second more for each power of ten above ten members.</summary>
    private TimeSpan Floor(NodeId subject)
    {
        double decades = Math.Max(0, Math.Log10(members.ActiveCount) - 1);
        TimeSpan floor = turn.Options.SuspicionMin + TimeSpan.FromMilliseconds(Math.Floor(1000 * decades));
        return members.Slot(subject)?.Flapping is { } flapping && turn.Now - flapping.Last < FlapWindow
            ? floor * Math.Min(4, 1 << flapping.Count)
            : floor;
    }

    /// <summary>Who dies and rises again within minutes gets more time before the next verdict, at most four times.</summary>
    private void CountFlap(NodeId id)
    {
        if (members.Slot(id) is { } slot)
        {
            bool again = slot.Flapping is { } flapping && turn.Now - flapping.Last < FlapWindow;
            slot.Flapping = new Flapping(again ? Math.Min(slot.Flapping!.Count + 1, 2) : 1, turn.Now);
        }
    }
}
