using System.Collections.Immutable;

namespace Kcore.Contracts;

/// <summary>What <c>kctl attach nic</c> asks for, on the node that serves the call.</summary>
public sealed record AttachNicRequest
{
    public required string Name { get; init; }

    public required string Network { get; init; }

    /// <summary>Name below /run/netns, absolute path, or process id; null makes a TAP for a hypervisor.</summary>
    public string? Netns { get; init; }

    /// <summary>Interface name inside the namespace; null means <c>eth0</c>.</summary>
    public string? Ifname { get; init; }

    /// <summary>A wanted address of the network's subnet; null takes the next one.</summary>
    public string? Ip { get; init; }

    /// <summary>Null derives the MAC from the name.</summary>
    public string? Mac { get; init; }

    /// <summary>Lets the guest send in other names than its own; left out, what is not its own is dropped at its port.</summary>
    public bool? AllowSpoofing { get; init; }
}

/// <summary>One NIC (attachment). The JSON names are part of the contract.</summary>
/// <param name="Address">CIDR, for example <c>10.250.0.2/24</c>; null while <c>PendingAddress</c>.</param>
/// <param name="Device">Host-side device on its node.</param>
/// <param name="State">
/// <c>PendingAddress</c>, <c>Pending</c>, <c>Ready</c> or <c>Failed</c>; <c>Prepared</c> on a node that it is being moved to and does not have yet.
/// </param>
/// <param name="Reason">Why it is not ready.</param>
public sealed record NicInfo(
    string Name,
    string Network,
    string Node,
    string Mac,
    string? Address,
    string Gateway,
    int Mtu,
    string Device,
    string Bridge,
    string AttachmentId,
    string State,
    string? Netns,
    string? Ifname,
    string? Reason)
{
    /// <summary>Whether the guest may send in other names than its own; null for a NIC of another node, which knows.</summary>
    public bool? AllowSpoofing { get; init; }

    /// <summary>Frames of the guest that were dropped at its port, by reason; empty for a NIC of another node.</summary>
    public ImmutableArray<NicDrop> Dropped { get; init; } = [];
}

/// <param name="Reason">
/// <c>mac</c>, <c>address</c>, <c>arp</c> (not the NIC's own), <c>dhcp</c> (a server's answer), <c>router</c> (an IPv6 router's
/// advertisement or redirect).
/// </param>
/// <param name="Packets">Since the NIC was attached.</param>
public sealed record NicDrop(string Reason, ulong Packets, ulong Bytes);

/// <summary>What <c>kctl move nic</c> asks for, of any node.</summary>
public sealed record MoveNicRequest
{
    /// <summary>The node it goes to, by name or id. Needed to begin; otherwise the move under way must lead there.</summary>
    public string? To { get; init; }

    /// <summary>
    /// <c>prepare</c> makes the device there and stops; <c>complete</c> hands the NIC over; <c>abort</c> takes a preparation back. Left out:
    /// prepare and complete in one, for a guest that does not run.
    /// </summary>
    public string? Step { get; init; }

    /// <summary>Namespace it leads into there: name below /run/netns, absolute path, or process id; null makes a TAP.</summary>
    public string? Netns { get; init; }

    /// <summary>Interface name inside that namespace; null means <c>eth0</c>.</summary>
    public string? Ifname { get; init; }

    /// <summary>Also when the node it is on does not answer: whoever asks knows that the guest does not run there.</summary>
    public bool? Force { get; init; }
}

/// <param name="Verb"><c>prepared</c>, <c>moved</c>, <c>aborted</c>, or <c>unchanged</c> when it is there already.</param>
/// <param name="From">The node it was on.</param>
/// <param name="To">The node it goes to, or went to.</param>
/// <param name="Nic">As the node states it that the answer is about: the one it goes to, after an abort the one that keeps it.</param>
public sealed record MovedNic(string Verb, string From, string To, NicInfo Nic);
