using System.Net;

namespace Kcore.Gossip;

/// <summary>One probe of one member: three pings, then helpers and a stream, then the verdict at the period's end.</summary>
internal sealed class Probe
{
    /// <summary>Helpers are asked at this part of the period.</summary>
    public const double HelpersAt = 0.4;

    /// <summary>The second and third ping: a lost datagram should not cost a round of helpers.</summary>
    private static readonly TimeSpan SecondPing = TimeSpan.FromMilliseconds(60);

    /// <summary>Pings closer together than this would be lost together.</summary>
    private static readonly TimeSpan SpacingMin = TimeSpan.FromMilliseconds(20);
    private readonly TimeSpan _spacing;
    private readonly TimeSpan _started;

    public Probe(NodeId target, uint incarnation, ulong sequence, TimeSpan started, TimeSpan period, TimeSpan roundTrip)
    {
        Target = target;
        Incarnation = incarnation;
        Sequence = sequence;
        _started = started;
        DirectEnd = started + (period * HelpersAt);
        Verdict = started + period;
        TimeSpan spacing = roundTrip == TimeSpan.Zero ? SecondPing : Turn.Later(2 * roundTrip, SpacingMin);
        // The third goes at three times the spacing and must be answered before helpers are asked.
        _spacing = Turn.Sooner(Turn.Sooner(spacing, Turn.Later(SecondPing, roundTrip)), period * (HelpersAt / 4));
    }

    public NodeId Target { get; }

    public uint Incarnation { get; }

    public ulong Sequence { get; }

    public TimeSpan Verdict { get; }

    /// <summary>Until then our own pings may be answered; then helpers are asked.</summary>
    public TimeSpan DirectEnd { get; }

    public int PingsSent { get; set; }

    public bool HelpersAsked { get; set; }

    public HashSet<NodeId> Helpers { get; } = [];

    /// <summary>Helpers that answer us but did not reach the target: witnesses, and proof that we are not the sick one.</summary>
    public SortedSet<NodeId> Nacks { get; } = [];

    /// <summary>Every helper that was asked has answered: waiting longer teaches nothing.</summary>
    public bool IsDecided => Helpers.Count > 0 && Nacks.Count == Helpers.Count;

    /// <summary>When the only ping so far was sent; an answer to one of several tells no round trip (Karn's rule).</summary>
    public TimeSpan? OnlyPing => PingsSent == 1 ? _started : null;

    public TimeSpan NextPing => PingsSent switch
    {
        0 => _started,
        1 => _started + _spacing,
        2 => _started + (3 * _spacing),
        _ => TimeSpan.MaxValue,
    };

    public TimeSpan HelpersDue => HelpersAsked ? TimeSpan.MaxValue : DirectEnd;

    public TimeSpan NextEvent => Turn.Sooner(Turn.Sooner(NextPing, HelpersDue), Verdict);
}

/// <summary>A probe we make for somebody else.</summary>
internal sealed class RelayedProbe(NodeId requester, ulong requesterSequence, NodeId target, IPEndPoint endpoint, ulong sequence, TimeSpan started, TimeSpan window)
{
    private const double SecondPingAt = 0.2;

    /// <summary>Later would be after the requester's verdict.</summary>
    private const double NackAt = 0.7;

    public NodeId Requester { get; } = requester;

    public ulong RequesterSequence { get; } = requesterSequence;

    public NodeId Target { get; } = target;

    public IPEndPoint Endpoint { get; } = endpoint;

    public ulong Sequence { get; } = sequence;

    public bool SecondSent { get; set; }

    public TimeSpan NextEvent => started + (window * (SecondSent ? NackAt : SecondPingAt));
}
