using System.Collections.Frozen;
using Kcore.Gossip;

namespace Kcore.Daemon.Dataplane.Hosts;

/// <summary>What is known of the host a member runs on, beside what its daemon says.</summary>
internal enum HostState
{
    /// <summary>It has not answered since this node started: its silence would be no news.</summary>
    Unknown,

    /// <summary>It answers ICMP echo.</summary>
    Answers,

    /// <summary>It does not answer although its daemon lives: something filters ICMP, so silence proves nothing.</summary>
    Mute,

    /// <summary>Neither its daemon nor the host itself answers.</summary>
    Silent,
}

/// <summary>The hosts of all other members, as this node sees them.</summary>
internal sealed record HostSights(FrozenDictionary<NodeId, HostState> States, string? Obstacle)
{
    public static HostSights None { get; } = new(FrozenDictionary<NodeId, HostState>.Empty, null);

    /// <summary>Whether frames to this node lead nowhere: its daemon is dead, and so is its host.</summary>
    public bool IsGone(NodeId node) => Of(node) == HostState.Silent;

    public HostState Of(NodeId node) => States.GetValueOrDefault(node);
}
