using System.Net;

namespace Kcore.Gossip;

/// <summary>
/// How a member is seen. The numbers rank statements of the same epoch and incarnation: the larger one wins, so a
/// suspicion can only be answered by its subject, with a higher incarnation.
/// </summary>
public enum MemberStatus
{
    Alive = 0,
    Suspect = 1,
    Dead = 2,

    /// <summary>The member said so itself.</summary>
    Left = 3,
}

/// <summary>
/// What is known of one node. Two records of one life of it merge to the larger in (epoch, incarnation, status); only the
/// node itself raises the first two.
/// </summary>
public sealed record Member
{
    public required NodeId Id { get; init; }

    /// <summary>Counts starts of the node; on disk before the first datagram of that start.</summary>
    public required uint Epoch { get; init; }

    /// <summary>Counts restatements within one epoch: refutations and changes of address.</summary>
    public uint Incarnation { get; init; }

    public MemberStatus Status { get; init; }

    /// <summary>Random per start: the same id and epoch with two of these is a cloned disk.</summary>
    public required ulong BootNonce { get; init; }

    /// <summary>Where its gossip socket is reached.</summary>
    public required IPEndPoint Endpoint { get; init; }

    public required ushort RaftPort { get; init; }

    /// <summary>For people, at most 63 bytes; uniqueness is watched, not assumed.</summary>
    public required string Name { get; init; }

    public byte ProtocolMin { get; init; } = 1;

    public byte ProtocolMax { get; init; } = 1;

    /// <summary>Key and value pairs a newer version added, kept and relayed byte for byte.</summary>
    public ReadOnlyMemory<byte> Unknown { get; init; }

    /// <summary>How many pairs <see cref="Unknown"/> holds.</summary>
    internal int UnknownCount { get; init; }

    /// <summary>Whether the node takes part: alive or merely suspected.</summary>
    public bool IsActive => Status is MemberStatus.Alive or MemberStatus.Suspect;

    /// <summary>
    /// Compares the statements, not the contents: positive when this one supersedes the other. Of two lives under one
    /// epoch (a copied disk) the one with the smaller boot nonce is heard, so that everybody hears the same one.
    /// </summary>
    public int CompareStatement(Member other) => Compare(
        (Epoch, BootNonce, Incarnation, Status), (other.Epoch, other.BootNonce, other.Incarnation, other.Status));

    internal static int Compare(
        (uint Epoch, ulong BootNonce, uint Incarnation, MemberStatus Status) x, (uint Epoch, ulong BootNonce, uint Incarnation, MemberStatus Status) y)
    {
        int order = x.Epoch.CompareTo(y.Epoch);
        order = order != 0 ? order : y.BootNonce.CompareTo(x.BootNonce);
        order = order != 0 ? order : x.Incarnation.CompareTo(y.Incarnation);
        return order != 0 ? order : x.Status.CompareTo(y.Status);
    }

    public bool Equals(Member? other) =>
        other is not null && Id == other.Id && CompareStatement(other) == 0 && BootNonce == other.BootNonce
        && Endpoint.Equals(other.Endpoint) && RaftPort == other.RaftPort && Name == other.Name
        && ProtocolMin == other.ProtocolMin && ProtocolMax == other.ProtocolMax
        && Unknown.Span.SequenceEqual(other.Unknown.Span);

    public override int GetHashCode() => HashCode.Combine(Id, Epoch, Incarnation, Status, BootNonce);
}

/// <summary>What the shell tells the core about its own node at start. The epoch is already on disk.</summary>
public sealed record LocalMember(NodeId Id, uint Epoch, ulong BootNonce, IPEndPoint Endpoint, ushort RaftPort, string Name);
