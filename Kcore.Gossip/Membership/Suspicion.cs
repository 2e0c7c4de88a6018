namespace Kcore.Gossip;

/// <summary>
/// The time a suspect has to answer. It starts long and falls with every independent witness (Lifeguard, Dadgar et al.
/// 2017, §IV.B): one accuser may be the sick one, several hardly.
/// </summary>
internal sealed class Suspicion
{
    private readonly HashSet<NodeId> _witnesses = [];
    private readonly TimeSpan _min;
    private readonly TimeSpan _max;
    private readonly int _wanted;
    private static readonly TimeSpan FinalSpacing = TimeSpan.FromMilliseconds(100);
    private TimeSpan _started;
    private TimeSpan _postponed;

    public Suspicion(Member subject, TimeSpan now, TimeSpan min, int maxFactor, int activeMembers)
    {
        Subject = subject;
        _started = now;
        _min = min;
        _max = min * maxFactor;
        // With two members nobody else can be asked.
        _wanted = Math.Clamp(activeMembers - 2, 0, 3);
    }

    /// <summary>The record that is suspected; a late timer for an older statement must do nothing (SWIM §4.2).</summary>
    public Member Subject { get; }

    public int Witnesses => _witnesses.Count;

    public TimeSpan Deadline => _started + Timeout(_min, _max, _wanted, _witnesses.Count);

    /// <summary>When there is something to do: the last probe, its next ping, the verdict.</summary>
    public TimeSpan NextEvent =>
        Final is { } final ? final.Started + (FinalSpacing * final.PingsSent)
        : _postponed > Deadline ? _postponed : Deadline;

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

    public bool AddWitness(NodeId witness) => witness != Subject.Id && _witnesses.Count < 8 && _witnesses.Add(witness);

    /// <summary>We were stopped: the subject may have answered meanwhile. Gives it up to half its minimum more.</summary>
    public void Extend(TimeSpan stall) => _started += stall < _min / 2 ? stall : _min / 2;

    /// <summary>The verdict may not be given yet; look again then.</summary>
    public void Postpone(TimeSpan until) => _postponed = until;

    /// <summary>The subject answered its last probe; the suspicion starts over and waits for the refutation.</summary>
    public void Restart(TimeSpan now)
    {
        _started = now;
        _witnesses.Clear();
        Final = null;
    }
}

/// <summary>The last attempt to reach a suspect before it is declared dead.</summary>
internal sealed record FinalProbe(ulong Sequence, TimeSpan Started, int PingsSent);
