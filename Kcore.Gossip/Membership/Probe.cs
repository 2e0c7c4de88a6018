using System.Net;

namespace Kcore.Gossip;

/// <summary>One probe of one member: three pings, then helpers and a stream, then the verdict at the period's end.</summary>
internal sealed class Probe(NodeId target, uint incarnation, ulong sequence, TimeSpan started, TimeSpan period)
{
    /// <summary>Pings go out at these parts of the period: a lost datagram should not cost a round of helpers.</summary>
    private static readonly double[] PingAt = [0, 0.12, 0.36];
    private const double HelpersAt = 0.4;

    public NodeId Target { get; } = target;

    public uint Incarnation { get; } = incarnation;

    public ulong Sequence { get; } = sequence;

    public TimeSpan Verdict { get; } = started + period;

    public int PingsSent { get; set; }

    public bool HelpersAsked { get; set; }

    public HashSet<NodeId> Helpers { get; } = [];

    /// <summary>Helpers that answer us but did not reach the target: witnesses, and proof that we are not the sick one.</summary>
    public SortedSet<NodeId> Nacks { get; } = [];

    public TimeSpan NextPing => PingsSent < PingAt.Length ? started + (period * PingAt[PingsSent]) : TimeSpan.MaxValue;

    public TimeSpan HelpersDue => HelpersAsked ? TimeSpan.MaxValue : started + (period * HelpersAt);

    public TimeSpan NextEvent => Min(Min(NextPing, HelpersDue), Verdict);

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
}

/// <summary>A probe we make for somebody else.</summary>
internal sealed class RelayedProbe(NodeId requester, ulong requesterSequence, NodeId target, IPEndPoint endpoint, ulong sequence, TimeSpan started, TimeSpan period)
{
    private const double SecondPingAt = 0.12;

    /// <summary>At 70 % of what is left of the requester's period: later would be after its verdict.</summary>
    private const double NackAt = 0.42;

    public NodeId Requester { get; } = requester;

    public ulong RequesterSequence { get; } = requesterSequence;

    public NodeId Target { get; } = target;

    public IPEndPoint Endpoint { get; } = endpoint;

    public ulong Sequence { get; } = sequence;

    public bool SecondSent { get; set; }

    public TimeSpan NackDue { get; } = started + (period * NackAt);

    public TimeSpan NextEvent => SecondSent ? NackDue : started + (period * SecondPingAt);
}
