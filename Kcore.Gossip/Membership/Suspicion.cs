namespace Kcore.Gossip;

/// <summary>
/// The time a suspect has to answer. It starts long and falls with every independent witness (Lifeguard, Dadgar et al.
/// 2017, §IV.B): one accuser may be the sick one, several hardly.
/// </summary>
internal sealed class Suspicion
{
    /// <summary>Pings of the last probe before the verdict.</summary>
    public const int FinalPings = 3;

    /// <summary>Final pings go out at this distance.</summary>
    private static readonly TimeSpan FinalSpacing = TimeSpan.FromMilliseconds(100);

    /// <summary>The last probe fills the end of the suspicion instead of prolonging it: who is gone is known that much sooner.</summary>
    private static readonly TimeSpan FinalLead = FinalSpacing * FinalPings;
    private readonly List<NodeId> _witnesses = [];
    private readonly TimeSpan _min;
    private readonly TimeSpan _max;
    private readonly TimeSpan _secondHand;
    private TimeSpan _started;
    private TimeSpan _postponed;

    /// <param name="secondHand">
    /// How much later the verdict is given by one who has only heard of it: who tried itself is to speak first, or the
    /// whole cluster would probe the suspect in the same instant.
    /// </param>
    public Suspicion(Member subject, Accusation accusation, TimeSpan now, TimeSpan min, int maxFactor, int activeMembers, TimeSpan secondHand = default)
    {
        Subject = subject;
        Accuser = accusation.Accuser;
        _started = now;
        _min = min;
        _max = min * maxFactor;
        _secondHand = secondHand;
        // With two members nobody else can be asked.
        Wanted = Math.Clamp(activeMembers - 2, 0, 3);
        Confirm(accusation);
    }

    /// <summary>The record that is suspected; a late timer for an older statement must do nothing (SWIM §4.2).</summary>
    public Member Subject { get; }

    public NodeId Accuser { get; }

    /// <summary>Witnesses besides the accuser that bring the timer to its floor.</summary>
    public int Wanted { get; }

    public int Witnesses => _witnesses.Count;

    /// <summary>All that is known of who could not reach the subject.</summary>
    public Accusation Accusation => new(Accuser, [.. _witnesses]);

    /// <summary>This node has failed to reach the subject itself, and not only heard of it.</summary>
    public bool IsFirstHand { get; set; }

    /// <summary>The last ping that told the subject of the suspicion.</summary>
    public ulong WarningSequence { get; set; }

    public TimeSpan WarningDue { get; set; } = TimeSpan.MaxValue;

    public TimeSpan Deadline => _started + Timeout(_min, _max, Wanted, _witnesses.Count) + (IsFirstHand ? TimeSpan.Zero : _secondHand);

    /// <summary>When there is something to do: the next warning, the last probe, its next ping, the verdict.</summary>
    public TimeSpan NextEvent =>
        Final is { } final ? final.Started + (FinalSpacing * final.PingsSent)
        : Turn.Sooner(WarningDue, FinalStart);

    /// <summary>When the last probe is to begin.</summary>
    private TimeSpan FinalStart => Turn.Later(_postponed, Deadline - FinalLead);

    public bool IsDue(TimeSpan now) => now >= FinalStart;

    /// <summary>The last pings before the verdict, once they are under way.</summary>
    public FinalProbe? Final { get; set; }

    public static TimeSpan Timeout(TimeSpan min, TimeSpan max, int wanted, int witnesses)
    {
        if (wanted == 0)
        {
            return min;
        }

        double fraction = Math.Log(Math.Min(witnesses, wanted) + 1) / Math.Log(wanted + 1);
        var timeout = TimeSpan.FromMilliseconds(Math.Floor((max - ((max - min) * fraction)).TotalMilliseconds));
        return timeout > min ? timeout : min;
    }

    /// <summary>Counts everybody in the accusation who was not counted yet. True when that shortens the timer.</summary>
    public bool Confirm(Accusation accusation)
    {
        int before = Math.Min(Witnesses, Wanted);
        Count(accusation.Accuser);
        foreach (NodeId witness in accusation.Witnesses)
        {
            Count(witness);
        }

        return Math.Min(Witnesses, Wanted) > before;
    }

    /// <summary>The silence counts from its beginning, not from when the helpers were done: asking them costs no time.</summary>
    public void BeginAt(TimeSpan silentSince) => _started = Turn.Sooner(_started, silentSince);

    /// <summary>We were stopped: the subject may have answered meanwhile. Gives it up to half its minimum more.</summary>
    public void Extend(TimeSpan stall) => _started += Turn.Sooner(stall, _min / 2);

    /// <summary>The verdict may not be given yet; look again then.</summary>
    public void Postpone(TimeSpan until)
    {
        _postponed = until;
        Final = null;
    }

    /// <summary>The subject answered us; the suspicion starts over and waits for the refutation.</summary>
    public void Restart(TimeSpan now)
    {
        _started = now;
        _witnesses.Clear();
        Final = null;
    }

    private void Count(NodeId witness)
    {
        if (witness != Subject.Id && witness != Accuser && _witnesses.Count < Accusation.MaxWitnesses && !_witnesses.Contains(witness))
        {
            _witnesses.Add(witness);
        }
    }
}

/// <summary>The last attempt to reach a suspect before it is declared dead.</summary>
internal sealed record FinalProbe(ulong Sequence, TimeSpan Started, int PingsSent);
